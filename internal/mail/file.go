package mail

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/kitshub/kitshub/internal/hub"
)

// fileSender writes each mail as a file that any mail program opens. A mail holds a status link, so only the hub's user may read it.
type fileSender struct {
	dir string
	log *slog.Logger
	now func() time.Time
}

// send writes the file under another name first: whoever watches the directory sees whole mails only.
func (s *fileSender) send(ctx context.Context, id string, kind hub.MailKind, m *gomail.Msg) (err error) {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	name := fmt.Sprintf("%s-%s-%s.eml", s.now().UTC().Format("20060102T150405.000Z"), kind, id)
	path := filepath.Join(s.dir, name)
	f, err := os.CreateTemp(s.dir, ".writing-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = m.WriteTo(f)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	s.log.InfoContext(ctx, "a mail was written to a file", "file", path, "kind", kind)
	return nil
}
