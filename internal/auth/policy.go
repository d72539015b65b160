package auth

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ccojocar/zxcvbn-go"

	"github.com/kitshub/kitshub/internal/hub"
)

// The policies, values of PASSWORD_POLICY.
const (
	PolicyLength     = "length"
	PolicyComplexity = "complexity" // also upper, lower, digit and special
)

const (
	// MinPassword is the fewest code points of a password that stands alone, MinPasswordSecondFactor of one beside a
	// second factor (NIST SP 800-63B-4, 3.1.1.2).
	MinPassword             = 15
	MinPasswordSecondFactor = 8

	// scoredMax is how many characters zxcvbn sees: its time grows with the square and worse (1,024 took 23 s), and a
	// password that is good in its first 64 is good.
	scoredMax = 64

	// goodScore is the lowest zxcvbn score (0–4) that is let through: 2 resists some 10^8 guesses, far more than the
	// limits on logins allow, and Argon2id stands before the rest. Below lie lists, walks on the keyboard and their mixes.
	goodScore = 2

	// wordMin is the shortest word of a user's own that counts; shorter ones are part of too many other words.
	wordMin = 4

	product = "kitshub"
)

// Policy says what a new password must be like.
type Policy struct {
	Complexity   bool // also ask for upper, lower, digit and special
	SecondFactor bool // the user has one, so MinPasswordSecondFactor is enough
}

// CheckPassword judges a new password by the policy named in PASSWORD_POLICY for a user without a second factor; see
// Policy.Check. It gives nil, not an error in an interface: assign it to an error only when it is not nil.
func CheckPassword(policy, password string, identity ...string) *hub.Error {
	return Policy{Complexity: policy == PolicyComplexity}.Check(password, identity...)
}

// Check judges a new password; identity is what is known of the user (email, name, company). It gives nil, or one
// WEAK_PASSWORD whose Fields hold every criterion that failed, in this order: PASSWORD_TOO_SHORT, PASSWORD_TOO_LONG,
// PASSWORD_COMMON, PASSWORD_CONTAINS_IDENTITY, PASSWORD_NEEDS_UPPER, _LOWER, _DIGIT, _SPECIAL. No text of it holds the
// password or a part of it.
func (p Policy) Check(password string, identity ...string) *hub.Error {
	var faults []*hub.Error
	add := func(code hub.Code, message, fix string) {
		faults = append(faults, hub.FieldError(code, "password", message, fix))
	}

	password, fits := normalize(password)
	if !fits {
		return weak([]*hub.Error{tooLong()}) // nothing else is looked at: it may be a megabyte
	}
	least := MinPassword
	if p.SecondFactor {
		least = MinPasswordSecondFactor
	}
	if utf8.RuneCountInString(password) < least {
		add(hub.CodePasswordTooShort, fmt.Sprintf("The password has fewer than %d characters.", least), "Use several words in a row; spaces count.")
	}
	words := identityWords(identity)
	if password != "" && common(password, words) {
		add(hub.CodePasswordCommon, "The password is among the first that are guessed: a common word, a repetition or a sequence.", "Use several words that do not belong together.")
	}
	if lower := strings.ToLower(password); slices.ContainsFunc(words, func(w string) bool { return strings.Contains(lower, w) }) {
		add(hub.CodePasswordContainsIdentity, "The password contains your name, email, company or the product's name.", "Leave these out.")
	}
	if p.Complexity {
		needs := func(code hub.Code, what string, is func(rune) bool) {
			if !strings.ContainsFunc(password, is) {
				add(code, "The password has no "+what+".", "Add at least one.")
			}
		}
		needs(hub.CodePasswordNeedsUpper, "upper-case letter", unicode.IsUpper)
		needs(hub.CodePasswordNeedsLower, "lower-case letter", unicode.IsLower)
		needs(hub.CodePasswordNeedsDigit, "digit", unicode.IsDigit)
		needs(hub.CodePasswordNeedsSpecial, "special character", func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) })
	}
	if len(faults) == 0 {
		return nil
	}
	return weak(faults)
}

func weak(faults []*hub.Error) *hub.Error {
	e := hub.FieldError(hub.CodeWeakPassword, "password", "The password is too weak.", "Choose one that meets every point listed.")
	e.Fields = faults
	return e
}

// identityWords gives the words of the user's own that a password must not contain, in lower case: of an email the part
// before the @ and its words, of everything else its words and all of it without gaps.
func identityWords(identity []string) []string {
	words := []string{product}
	add := func(w string) {
		if utf8.RuneCountInString(w) >= wordMin && !slices.Contains(words, w) {
			words = append(words, w)
		}
	}
	for _, text := range identity {
		text, fits := normalize(text)
		if !fits {
			continue // a name of hundreds of characters is in no password whole, and its words are not worth the time
		}
		text = strings.ToLower(text)
		if local, _, isEmail := strings.Cut(text, "@"); isEmail {
			text = local
		}
		parts := strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) })
		for _, part := range parts {
			add(part)
		}
		add(strings.TrimSpace(text))
		add(strings.Join(parts, ""))
	}
	return words
}

// common reports whether a password is among the first an attacker tries. zxcvbn knows English lists, names, dates and
// keyboards but counts bytes, so repetitions and sequences are looked for here, in any script.
func common(password string, words []string) bool {
	runes := []rune(strings.ToLower(password))
	if repeated(runes) || sequence(runes) || slices.Contains(longWalks, string(runes)) {
		return true
	}
	scored := []rune(password)
	if len(scored) > scoredMax {
		scored = scored[:scoredMax]
	}
	return zxcvbn.PasswordStrength(string(scored), words).Score < goodScore
}

// longWalks are often leaked passwords of 15 and more characters that zxcvbn takes for good: walks over several columns
// of the keyboard.
var longWalks = []string{
	"1q2w3e4r5t6y7u8i", "1q2w3e4r5t6y7u8i9o0p", "q1w2e3r4t5y6u7i8", "q1w2e3r4t5y6u7i8o9p0",
	"1qaz2wsx3edc4rfv", "1qaz2wsx3edc4rfv5tgb", "qazwsxedcrfvtgb", "qazwsxedcrfvtgbyhn", "zaq12wsxcde34rfv", "1qazxsw23edcvfr4",
}

// repeated reports whether the whole is one block over and over, or of very few different characters.
func repeated(runes []rune) bool {
	const fewest = 4 // different characters of anything as long as MinPasswordSecondFactor
	different := make(map[rune]bool)
	for _, r := range runes {
		different[r] = true
	}
	if len(runes) >= MinPasswordSecondFactor && len(different) < fewest {
		return true
	}
	for period := 1; period <= len(runes)/2; period++ {
		if slices.Equal(runes[period:], runes[:len(runes)-period]) {
			return true
		}
	}
	return false
}

// sequence reports whether most of the steps from one character to the next are the same small one: abcd…, 9876….
func sequence(runes []rune) bool {
	up, down := 0, 0
	for i := 1; i < len(runes); i++ {
		switch runes[i] - runes[i-1] {
		case 1:
			up++
		case -1:
			down++
		}
	}
	return len(runes) >= 4 && max(up, down)*4 >= (len(runes)-1)*3
}
