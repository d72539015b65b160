//go:build sabotage

package hub

import "time"

// The planted bug: a dead hub counts as alive for as long as River by itself would leave its jobs, so nobody takes its requests up. Only
// "proof … -sabotage" builds with this tag, to show that its check can fail.
const deadAfter = time.Hour
