package catalog

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/kitshub/kitshub/internal/hub"
)

// versionDigits is the length of Catalog.Version: 64 bits, far beyond chance for the few versions a hub ever sees.
const versionDigits = 16

// version names all that reaches a tenant's database: which features, in which order, with which scripts in both dialects. Checks are among
// them, so that a new check is run on every tenant; prices and texts of plans are not.
func version(c *hub.Catalog) string {
	h := sha256.New()
	for _, f := range c.Features {
		fmt.Fprintf(h, "%s: %s\n", f.Name, strings.Join(f.DependsOn, " "))
		for _, scripts := range [][]hub.Script{f.Migrations, f.Seeds, f.Checks} {
			for _, s := range scripts {
				for _, d := range dialects {
					fmt.Fprintf(h, "%s %s %s %t\n", s.Name, d, s.Text[d].Checksum, s.Text[d].NoTransaction)
				}
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil))[:versionDigits]
}
