package vault

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Formats, version 1. Numbers are big-endian.
//
// Keyring record:
//
//	"KHKR" version(1)=1 kind(1) logN(1) r(1) p(1) salt(16) nonce(12) ciphertext tag(16)
//
// kind is how the wrapping key comes from ENCRYPTION_KEY; logN, r, p are scrypt's and zero for kindRaw. Everything before the nonce
// is associated data. The ciphertext holds:
//
//	macRoot(32) keyset (Tink's binary Keyset)
//
// Sealed value, which is Tink's own format:
//
//	0x01 keyID(4) nonce(12) ciphertext tag(16)
//
// Associated data of a sealed value, see AAD.encode:
//
//	len(4) "kitshub/seal/1" len(4) tenant len(4) field version(8)
//
// MAC: HMAC-SHA-256 under macRoot of
//
//	len(4) "kitshub/mac/1" len(4) context data
const (
	recordMagic   = "KHKR"
	recordVersion = 1
	saltBytes     = 16
	headerBytes   = len(recordMagic) + 1 + 1 + 3 + saltBytes

	sealedPrefix  = 0x01
	nonceBytes    = 12
	tagBytes      = 16
	sealedMin     = 1 + 4 + nonceBytes + tagBytes
	sealDomain    = "kitshub/seal/1"
	macDomain     = "kitshub/mac/1"
	macRootBytes  = 32
	recordMaxSize = 1 << 20 // a keyring is a few hundred bytes; more is not ours
)

type keyKind byte

const (
	kindRaw        keyKind = 1
	kindPassphrase keyKind = 2
)

// AAD says which place a sealed value belongs to. It opens with the very same AAD only.
type AAD struct {
	Tenant  string // id of the row's owner: a tenant, a request, an operator; not empty
	Field   string // "table.column"; not empty
	Version int64  // of the row or the secret, so that an old value cannot be put back; 0 where rows have none
}

// encode is unambiguous: each text is preceded by its length, so no two AADs share an encoding.
func (a AAD) encode() ([]byte, error) {
	if a.Tenant == "" || a.Field == "" {
		return nil, errors.New("vault: a sealed value needs an owner and a field in its AAD, else it could be moved to another row")
	}
	b := make([]byte, 0, 4*3+len(sealDomain)+len(a.Tenant)+len(a.Field)+8)
	b = appendText(b, sealDomain)
	b = appendText(b, a.Tenant)
	b = appendText(b, a.Field)
	return binary.BigEndian.AppendUint64(b, uint64(a.Version)), nil //nolint:gosec // two's complement keeps every value apart
}

func appendText(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(s))) //nolint:gosec // ids and names, far below 4 GiB
	return append(b, s...)
}

// header is the clear beginning of a keyring record.
type header struct {
	kind keyKind
	salt []byte
}

func (h header) encode() []byte {
	b := append(make([]byte, 0, headerBytes), recordMagic...)
	b = append(b, recordVersion, byte(h.kind))
	if h.kind == kindPassphrase {
		b = append(b, scryptLogN, scryptR, scryptP)
	} else {
		b = append(b, 0, 0, 0)
	}
	return append(b, h.salt...)
}

// parseHeader reads a record's header. The scrypt figures must be ours: taking them from the record would let whoever
// writes the database choose a weak stretch, or one that needs all memory. Stronger ones are a new version.
func parseHeader(record []byte) (header, error) {
	if len(record) > recordMaxSize || len(record) < headerBytes+nonceBytes+tagBytes || string(record[:len(recordMagic)]) != recordMagic {
		return header{}, fmt.Errorf("%w: it is not a keyring record", ErrKeyringDamaged)
	}
	if v := record[len(recordMagic)]; v != recordVersion {
		return header{}, fmt.Errorf("%w: it has version %d and this hub knows %d; run the hub version that wrote it, or a newer one", ErrKeyringDamaged, v, recordVersion)
	}
	h := header{kind: keyKind(record[len(recordMagic)+1]), salt: record[headerBytes-saltBytes : headerBytes]}
	if h.kind != kindRaw && h.kind != kindPassphrase || string(h.encode()) != string(record[:headerBytes]) {
		return header{}, fmt.Errorf("%w: its header is not one this hub writes", ErrKeyringDamaged)
	}
	return h, nil
}
