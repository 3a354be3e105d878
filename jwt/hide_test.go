package jwt

import (
	"encoding/base64"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// b64 encodes a part of a token.
func b64(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// The tokens of the tests are signed by nobody.
var (
	header  = b64(`{"alg":"RS256","typ":"JWT","kid":"test"}`)
	payload = b64(`{"iss":"https://issuer.example","sub":"nobody"}`)
	sig     = b64("not a signature, but as long as one of them may be")
	token   = header + "." + payload + "." + sig
)

func TestHidesTokens(t *testing.T) {
	const hidden = Redacted
	rest := "." + payload + "." + sig
	for _, tt := range []struct{ name, in, want string }{
		{"alone", token, hidden},
		{"in a sentence", "the token is " + token + ".", "the token is " + hidden + "."},
		{"before an ellipsis", token + "... and so on", hidden + "... and so on"},
		{"in quotes", `{"token":"` + token + `"}`, `{"token":"` + hidden + `"}`},
		{"in a header", "Authorization: Bearer " + token, "Authorization: Bearer " + hidden},
		{"in a query", "https://h.example/?a=1&jwt=" + token + "&b=2", "https://h.example/?a=1&jwt=" + hidden + "&b=2"},
		{"in a path", "/var/run/" + token + "/x.y.z", "/var/run/" + hidden + "/x.y.z"},
		{"after dots", "a.b.c." + token, "a.b.c." + hidden},
		{"behind one character", "_" + token, "_" + hidden},
		{"behind two characters", "x_" + token, "x_" + hidden},
		{"behind three characters", "tok" + token, "tok" + hidden},
		{"behind four characters", "jwt_" + token, "jwt_" + hidden},
		{"behind a word", "Bearer_" + token, "Bearer_" + hidden},
		{"behind the start of a header", "eyJ" + token, "eyJ" + hidden},
		{"before a file's ending", token + ".json", hidden},
		{"before a word", token + "_old", hidden},
		{"two, apart", token + " " + token, hidden + " " + hidden},
		{"two, by a comma", token + "," + token, hidden + "," + hidden},
		{"two, by a dot", token + "." + token, hidden},
		{"two, by nothing", token + token, hidden},
		{"after what looks like a header", header + " " + token, header + " " + hidden},
		{"after a header and a dot", header + ". " + token, header + ". " + hidden},
		{"non-ASCII around it", "é" + token + "é", "é" + hidden + "é"},

		{"on a line of its own", "a\n" + token + "\nb", "a\n" + hidden + "\nb"},
		{"after a word on the line before", "a.b\nBearer\r\n" + token, "a.b\nBearer\r\n" + hidden},
		{"broken in the header", "jwt:\n" + header[:13] + "\r\n" + header[13:] + rest, "jwt:\n" + hidden},
		{"broken all over", "\n" + strings.Join(strings.Split(header+"."+payload, ""), "\n") + "\n." + sig, "\n" + hidden},
		{"broken before and after the dots", header + "=\n.\n" + payload + "\n.", hidden},

		{"no signature", header + "." + payload + ".", hidden},
		{"no signature, in a sentence", header + "." + payload + ".. Next", hidden + ". Next"},
		{"no payload", header + ".." + sig, hidden},
		{"encrypted", header + "." + sig + "." + sig + "." + sig + "." + sig, hidden},
		{"encrypted without a key", header + ".." + sig + "." + sig + "." + sig, hidden},
		{"padded", header + "=." + payload + "==." + sig + "=", hidden},
		{"the least", b64(`{"alg":0}`) + "..", hidden},

		{"a space before the header", b64(` {"alg":"RS256"}`) + rest, hidden},
		{"white space around the header", b64("\r\n\t {\"alg\":\"RS256\"} \t\r\n") + rest, hidden},
		{"a byte order mark", b64("\ufeff{\"alg\":\"RS256\"}") + rest, "77u_" + hidden},
		{"spaces inside", b64(`{ "alg" : "RS256" }`) + rest, hidden},
		{"lines inside", b64("{\n\t\"alg\"\n:\n\"RS256\"\n}") + rest, hidden},
		{"alg is not first", b64(`{"typ":"JWT","alg":"RS256"}`) + rest, hidden},
		{"alg is escaped", b64(`{"\u0061lg":"RS256"}`) + rest, hidden},
		{"alg is escaped as a whole", b64(`{"\u0061\u006C\u006c":0,"\u0061\u006C\u0067":"RS256"}`) + rest, hidden},
		{"alg is a number", b64(`{"alg":0}`) + rest, hidden},
		{"alg is an object", b64(`{"alg":{"a":["}"]}}`) + rest, hidden},
		{"alg is repeated", b64(`{"alg":"none","alg":"RS256"}`) + rest, hidden},
		{"braces in a string", b64(`{"a":"}}{{\"","alg":"RS256"}`) + rest, hidden},
		{"backslashes at the end of a string", b64(`{"a":"\\\\","b\\":"\\\"","alg":"RS256"}`) + rest, hidden},
		{"nested", b64(`{"jwk":{"n":{"o":{}}},"alg":"RS256","x":{"y":"z"}}`) + rest, hidden},
		{"UTF-8", b64(`{"kid":"é\u00e9💡","alg":"RS256"}`) + rest, hidden},
		{"invalid UTF-8", b64("{\"kid\":\"\xff\xfe\",\"alg\":\"RS256\"}") + rest, hidden},
		{"deep", b64(`{"a":`+strings.Repeat(`{"a":`, 50_000)+"0"+strings.Repeat("}", 50_000)+`,"alg":0}`) + rest, hidden},
		{"bits left over in the header", strings.TrimSuffix(b64(`{"alg":"RS25"}`), "0") + "1" + rest, hidden},
		{"a character left over in the header", b64(`{"alg":"RS256"}`) + "A" + rest, hidden},
		{"behind a long word", strings.Repeat("x", 99_991) + token, strings.Repeat("x", 99_991) + hidden},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Hide(tt.in); got != tt.want {
				t.Errorf("%.200s\nbecame %.200s\nwant   %.200s", tt.in, got, tt.want)
			}
		})
	}
}

// harmless are texts without a token.
var harmless = []string{
	"", ".", "..", "...", strings.Repeat(".", 100),
	"README.en.md", "a.b.c", "config/prod.pem", "./../../etc/passwd", "archive.tar.gz.asc", "..hidden.file..",
	"1.2.3", "v1.27.2-rc.1+build.5", "192.168.0.1", "10.0.0.0/8 and 127.0.0.1:8080", "2001:db8::1",
	"www.example.com", "https://eu-west-1.console.example.com/a.b/c.d?e=f.g.h", "someone@mail.example.org",
	"github.com/go-json-experiment/json", "gopkg.in/yaml.v3 example.org/a.b.c/v2",
	"git push origin HEAD:refs/heads/release.1.x", "kubectl get pods -o jsonpath={.items[0].metadata.name}",
	"a sentence. And another. And a third...", "a.b\nc.d\r\ne.f\n\n", "README.md\nmain.go\ngo.mod\n",
	"eyJ", "eyJ.eyJ.eyJ", "eyJhbGciOi.eyJhbGciOi.eyJhbGciOi",
	Redacted, "<redacted-oidc-jwt>", "a." + Redacted + ".b.c",
}

func TestLeavesOtherTextAlone(t *testing.T) {
	rest := "." + payload + "." + sig
	texts := append([]string{
		header, header + ".", header + "." + payload, header + "." + payload + "/a.b.c",
		header + "|" + payload + "." + sig, header + " ." + payload + "." + sig,
		b64(`{}`) + rest, b64(`{"typ":"JWT"}`) + rest, b64(`{"a":{"alg":"RS256"}}`) + rest,
		b64(`{"a":"alg","b":"RS256"}`) + rest, b64(`{"algo":"RS256"}`) + rest, b64(`{"al":"RS256"}`) + rest,
		b64(`{"ALG":"RS256"}`) + rest, b64(`{"a\u006":"RS256"}`) + rest, b64(`{"a\nlg":"RS256"}`) + rest,
		b64(`["alg","RS256"]`) + rest, b64(`[{"alg":"RS256"}]`) + rest, b64(`"alg"`) + rest, b64(`alg`) + rest,
		b64(`{"alg":"RS256"`) + rest, b64(`{"alg":"RS256"}x`) + rest, b64(`"alg":"RS256"}`) + rest, b64(`}`) + rest, b64(`"}`) + rest,
		"." + rest, rest, payload + "." + payload + "." + payload, sig + "." + sig + "." + sig,
	}, harmless...)
	for _, text := range texts {
		if got := Hide(text); got != text {
			t.Errorf("%.200s\nbecame %.200s", text, got)
		}
	}
}

// hasJWT finds tokens the slow and plain way: every part before a dot, from
// every character on, is decoded and given to encoding/json.
func hasJWT(s string) bool {
	s = strings.NewReplacer("\n", "", "\r", "").Replace(s)
	for _, parts := range dotted.FindAllString(s, -1) {
		fields := strings.Split(parts, ".")
		for i := 0; i+2 < len(fields); i++ {
			part := strings.TrimRight(fields[i], "=")
			part = part[strings.LastIndexByte(part, '=')+1:]
			for from := range part {
				decoded, err := base64.RawURLEncoding.DecodeString(part[from:])
				if err != nil {
					continue
				}
				var object map[string]json.RawMessage
				if json.Unmarshal(decoded, &object) == nil {
					if _, ok := object["alg"]; ok {
						return true
					}
				}
			}
		}
	}
	return false
}

var dotted = regexp.MustCompile(`[A-Za-z0-9_=.-]+`)

// holdToTheLaw checks what must be true of any text.
func holdToTheLaw(t rapid.TB, s string) {
	once := Hide(s)
	if hasJWT(once) {
		t.Fatalf("a token survives in %q, made from %q", once, s)
	}
	if twice := Hide(once); twice != once {
		t.Fatalf("redacting %q gives %q and, once more, %q", s, once, twice)
	}
	if once != s && !strings.Contains(once, Redacted) {
		t.Fatalf("%q became %q", s, once)
	}
}

// pieces are what hostile texts are made of.
var pieces = []string{
	".", "..", "\n", "\r\n", "=", "==", "-", "_", "e", "ey", "eyJ", "Bearer_", " ", "/", "<", "README", "en", "md",
	header, payload, sig, token, Redacted,
	b64(`{"alg":0}`), b64(`{`), b64(`{"`), b64(`"alg"`), b64(`"alg":`), b64(`"}`), b64(`}`), b64(`  }`), b64(` {"alg":"none"} `), b64(`\"`), b64(`{"\u0061lg":1}`),
}

func TestAnyTextOfHostilePieces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		holdToTheLaw(t, strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 20).Draw(t, "pieces"), ""))
	})
}

func TestNoHeaderSurvivesWhateverItHolds(t *testing.T) {
	value := rapid.Custom(func(t *rapid.T) any {
		if rapid.Bool().Draw(t, "nested") {
			return map[string]any{rapid.String().Draw(t, "inner name"): rapid.String().Draw(t, "inner value")}
		}
		return rapid.String().Draw(t, "value")
	})
	rapid.Check(t, func(t *rapid.T) {
		object := rapid.MapOfN(rapid.String(), value, 0, 4).Draw(t, "header")
		object["alg"] = value.Draw(t, "alg")
		indent := rapid.StringMatching(`[ \t\r\n]{0,3}`).Draw(t, "indent")
		text, err := json.MarshalIndent(object, indent, indent)
		if err != nil {
			t.Fatal(err)
		}
		encoding := rapid.SampledFrom([]*base64.Encoding{base64.RawURLEncoding, base64.URLEncoding}).Draw(t, "encoding")
		in := rapid.StringMatching(`[A-Za-z0-9_-]{0,9}`).Draw(t, "glue") + encoding.EncodeToString([]byte(indent+string(text)+indent)) + "." + payload + "." + sig
		if got := Hide(in); strings.Contains(got, payload) || strings.Contains(got, sig) {
			t.Fatalf("%q became %q", in, got)
		}
		holdToTheLaw(t, in)
	})
}

func FuzzHideJWTs(f *testing.F) {
	f.Add(token)
	f.Add("Bearer_" + token + "." + token)
	for _, text := range harmless {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 4096 {
			t.Skip("the plain search is quadratic")
		}
		holdToTheLaw(t, s)
		// The same bytes as a header, glued and in place.
		holdToTheLaw(t, b64(s)+"."+payload+"."+sig)
		holdToTheLaw(t, "x"+b64(`{"a":"`+s+`","alg":0}`)+".."+sig)
	})
}

// hostileTexts are a mebibyte each of what a careless search is slow at.
func hostileTexts() map[string]string {
	fill := func(s string) string { return strings.Repeat(s, 1<<20/len(s)) }
	part := func(s string) string { return b64(strings.Repeat(s, 3<<18/len(s))) }
	return map[string]string{
		"dots":                     fill("."),
		"ey":                       fill("ey"),
		"ey and dots":              fill("ey."),
		"headers and one dot":      fill(header + ". "),
		"headers glued":            fill(header) + "..",
		"tokens":                   fill(token + " "),
		"starts of objects":        part(`{"a":`) + "..",
		"ends of objects":          part(`}`) + "..",
		"ends, one character on":   part(`}`) + "A..",
		"ends, in every alignment": part(`}}}`) + strings.Repeat("fX19", 4) + "..",
		"quotes":                   part(`"`) + b64(`"}`) + "..",
		"escaped quotes":           part(`\"`) + b64(`"}`) + "..",
		"backslashes":              part(`\`) + b64(`""}`) + "..",
		"white space":              part(" ") + "..",
		"white space and an end":   part(" ") + b64(`}  `) + "..",
		"line breaks":              fill("\n") + "..",
		"lines":                    fill("eyJ\n") + "..",
		"lines of dots":            fill("eyJ.\n"),
		"padding":                  fill("=") + "..",
		"parts of padding":         fill("A=.") + "..",
		"objects without alg":      part(`{},`) + b64(`{} `) + "..",
		"one object, many members": b64(`{"`+strings.Repeat(`alg":{"`, 1<<16)) + part(`"b":0,`) + "..",
	}
}

func TestHostileTextTakesLinearTime(t *testing.T) {
	for name, text := range hostileTexts() {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			Hide(text)
			// Tens of milliseconds, under the race detector too; a search that
			// is not linear takes minutes.
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("%d bytes took %v", len(text), took)
			}
		})
	}
}

func BenchmarkHideJWTs(b *testing.B) {
	for name, text := range hostileTexts() {
		b.Run("hostile/"+strings.ReplaceAll(name, " ", "_"), func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				Hide(text)
			}
		})
	}
	for name, text := range map[string]string{"path": "config/prod.pem", "url": "https://www.example.com/a.b.c", "token": token} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Hide(text)
			}
		})
	}
}
