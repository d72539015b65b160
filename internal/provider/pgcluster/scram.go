package pgcluster

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
)

// scramIterations is what RFC 7677 asks for at least, and what clients insist on. More would make each connection of the customer's program
// slower and protect nothing: a password of 160 random bits is not guessed.
const scramIterations = 4096

// newPassword draws a password of letters and digits, which needs no escape in any place people paste it to.
func newPassword() string { return rand.Text() + rand.Text()[:6] }

// verifiers are those of a database's two passwords.
type verifiers struct {
	runtime, owner string
	err            error
}

func newVerifiers(runtime, owner string) (v verifiers) {
	if v.runtime, v.err = verifier(runtime); v.err == nil {
		v.owner, v.err = verifier(owner)
	}
	return v
}

// verifier is what the server keeps of a password (https://www.postgresql.org/docs/current/catalog-pg-authid.html, RFC 5803). We compute it,
// so that no statement and hence no server log ever holds the password. Passwords are ASCII: SASLprep would change nothing.
func verifier(password string) (string, error) {
	var salt [16]byte
	_, _ = rand.Read(salt[:]) // never fails
	salted, err := pbkdf2.Key(sha256.New, password, salt[:], scramIterations, sha256.Size)
	if err != nil {
		return "", err
	}
	stored := sha256.Sum256(mac(salted, "Client Key"))
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", scramIterations, b64(salt[:]), b64(stored[:]), b64(mac(salted, "Server Key"))), nil
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
