package mail

import (
	"context"
	"slices"

	gomail "github.com/wneessen/go-mail"
)

// Check asks the mail server of the options whether it lets us in, as a mail would, and sends none. Files need no server. Its error shows neither
// the URL nor the password.
func Check(ctx context.Context, o Options) error {
	if o.Service != ServiceSMTP {
		return nil
	}
	s, err := newSMTP(o.SMTPURL)
	if err != nil {
		return err
	}
	client, err := gomail.NewClient(s.host, append(slices.Clone(s.options), gomail.WithTLSConfig(s.tls))...)
	if err != nil {
		return err
	}
	if err := client.DialWithContext(ctx); err != nil {
		return err
	}
	return client.Close()
}
