// Package mail writes the hub's letters and sends them. It implements hub.Mailer.
//
// It writes each letter as plain text and as simple HTML from templates/, and hands it to one of two senders: a directory of .eml files, for
// development and for those who have no mail server, or an SMTP server. It keeps no queue and tries nothing again: Send reports an error and
// the job that called it comes back with the same id, which is the Message-ID, so that a receiver can tell a repetition.
package mail
