package pgcluster

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
)

// How often a password is hashed, which slows down those who guess what people choose. Ours are 160 random bits and not guessed, so it protects
// nothing, and costs: the server hashes as often when a role is made, to see that the password is not empty, and the client at each login.
const (
	customersIterations = 4096 // what RFC 7677 asks for at least; some clients refuse less
	ownIterations       = 1    // of logins that only the hub connects with
)

// newPassword draws a password of letters and digits, which needs no escape in any place people paste it to.
func newPassword() string { return rand.Text() + rand.Text()[:6] }

// verifiers are those of a database's two passwords.
type verifiers struct {
	runtime, owner string
	err            error
}

func newVerifiers(runtime, owner string) (v verifiers) {
	if v.runtime, v.err = verifier(runtime, customersIterations); v.err == nil {
		v.owner, v.err = verifier(owner, ownIterations)
	}
	return v
}

// verifier is what the server keeps of a password (https://www.postgresql.org/docs/current/catalog-pg-authid.html, RFC 5803). We compute it,
// so that no statement and hence no server log ever holds the password. Passwords are ASCII: SASLprep would change nothing.
func verifier(password string, iterations int) (string, error) {
	var salt [16]byte
	_, _ = rand.Read(salt[:]) // never fails
	salted, err := pbkdf2.Key(sha256.New, password, salt[:], iterations, sha256.Size)
	if err != nil {
		return "", err
	}
	stored := sha256.Sum256(mac(salted, "Client Key"))
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", iterations, b64(salt[:]), b64(stored[:]), b64(mac(salted, "Server Key"))), nil
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
