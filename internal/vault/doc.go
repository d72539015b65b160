// Package vault seals and opens the hub's secrets. Nothing else in the hub encrypts, decrypts or reads ENCRYPTION_KEY.
//
// Three layers, so that each can change alone:
//
//	ENCRYPTION_KEY ──scrypt (passphrases only), HKDF──▶ wrapping key   lives in memory
//	wrapping key   ──AES-256-GCM──▶ keyring record                    one row of the hub's database, shared by all hubs
//	keyring        ──AES-256-GCM──▶ sealed values                     columns of the hub's database
//
// The keyring holds a Tink keyset (github.com/tink-crypto/tink-go), whose primary key seals and whose every key opens,
// and one root for MACs. A sealed value begins with the id of its key, so adding a key, sealing anew row by row and
// dropping the old key is possible while the hub runs; and ENCRYPTION_KEY can change by wrapping one record anew.
//
// Every value is bound by associated data to its owner, field and row version ([AAD]): copied to another row, or back
// after an update, it does not open.
//
// What it does not do: it stores nothing itself ([KeyringStore] does), it does not rotate yet, it hides neither the
// length of a value nor that it changed, and it cannot wipe keys from memory, since Go's collector may copy them. Who can
// read the process's memory or ENCRYPTION_KEY can read all secrets.
//
// The byte formats are in format.go and held by testdata/vectors.json.
package vault
