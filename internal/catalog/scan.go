package catalog

import "strings"

// token is a kind of lexical token, as coarse as Split needs it.
type token int

const (
	tokEOF       token = iota
	tokWord            // keyword, name or number
	tokSemicolon       // ;
	tokOpen            // (
	tokClose           // )
	tokOther           // a quoted thing or any other byte
)

// scanner cuts SQL into tokens, passing over white space and comments. It works on bytes: every byte with a meaning is ASCII, and in UTF-8 no
// other character contains one.
type scanner struct {
	src      string
	pos      int
	postgres bool
}

// next gives the next token and its place in the source.
func (s *scanner) next() (kind token, start, end int) {
	s.skipBlank()
	start = s.pos
	if start >= len(s.src) {
		return tokEOF, start, start
	}
	c := s.src[start]
	switch {
	case c == ';':
		s.pos++
		return tokSemicolon, start, s.pos
	case c == '(':
		s.pos++
		return tokOpen, start, s.pos
	case c == ')':
		s.pos++
		return tokClose, start, s.pos
	case c == '\'', c == '"', c == '`' && !s.postgres:
		s.quoted(c, false)
	case c == '[' && !s.postgres:
		s.until("]", 1)
	case (c == 'e' || c == 'E') && s.postgres && s.at(start+1) == '\'':
		s.pos++
		s.quoted('\'', true)
	case c == '$' && s.postgres && s.dollarQuote():
	case isWordByte(c):
		for s.pos < len(s.src) && isWordByte(s.src[s.pos]) {
			s.pos++
		}
		return tokWord, start, s.pos
	default:
		s.pos++
	}
	return tokOther, start, s.pos
}

// at is the byte at an offset, 0 past the end.
func (s *scanner) at(i int) byte {
	if i < len(s.src) {
		return s.src[i]
	}
	return 0
}

// skipBlank passes over white space and comments; one that is not closed reaches to the end.
func (s *scanner) skipBlank() {
	for s.pos < len(s.src) {
		c := s.src[s.pos]
		switch {
		case c == ' ' || c >= '\t' && c <= '\r':
			s.pos++
		case c == '-' && s.at(s.pos+1) == '-':
			s.until("\n", 2)
		case c == '/' && s.at(s.pos+1) == '*':
			s.blockComment()
		default:
			return
		}
	}
}

// blockComment passes over /* … */; in Postgres they nest.
func (s *scanner) blockComment() {
	if !s.postgres {
		s.until("*/", 2)
		return
	}
	depth := 1
	for s.pos += 2; s.pos < len(s.src) && depth > 0; {
		switch {
		case strings.HasPrefix(s.src[s.pos:], "/*"):
			depth++
			s.pos += 2
		case strings.HasPrefix(s.src[s.pos:], "*/"):
			depth--
			s.pos += 2
		default:
			s.pos++
		}
	}
}

// quoted passes over a quoted text at pos, in which a doubled quote stands for itself; escapes says that a backslash takes the next byte's meaning away.
func (s *scanner) quoted(quote byte, escapes bool) {
	for s.pos++; s.pos < len(s.src); s.pos++ {
		switch {
		case escapes && s.src[s.pos] == '\\':
			s.pos++
		case s.src[s.pos] == quote && s.at(s.pos+1) == quote:
			s.pos++
		case s.src[s.pos] == quote:
			s.pos++
			return
		}
	}
	s.pos = len(s.src)
}

// dollarQuote passes over $tag$ … $tag$ if one starts at pos.
func (s *scanner) dollarQuote() bool {
	i := s.pos + 1
	for i < len(s.src) && s.src[i] != '$' && isWordByte(s.src[i]) {
		i++
	}
	if s.at(i) != '$' || (i > s.pos+1 && isDigit(s.src[s.pos+1])) {
		return false // $1 is a parameter
	}
	tag := s.src[s.pos : i+1]
	s.until(tag, len(tag))
	return true
}

// until moves past the next end mark that starts at least skip bytes from here, or to the end of the source.
func (s *scanner) until(mark string, skip int) {
	from := min(s.pos+skip, len(s.src))
	if i := strings.Index(s.src[from:], mark); i >= 0 {
		s.pos = from + i + len(mark)
		return
	}
	s.pos = len(s.src)
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isWordByte(c byte) bool {
	return c == '_' || c == '$' || isDigit(c) || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}
