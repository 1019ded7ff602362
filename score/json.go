package score

import (
	"encoding/json"
	"math"
)

// JSON has no NaN and no infinity: what is not finite is written as null and
// read as NaN.

// MarshalJSON writes mean, se, stat, p and n.
func (t Test) MarshalJSON() ([]byte, error) {
	return json.Marshal(testJSON{finite(t.Mean), finite(t.SE), finite(t.Stat), finite(t.P), t.N})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (t *Test) UnmarshalJSON(b []byte) error {
	var j testJSON
	err := json.Unmarshal(b, &j)
	*t = Test{float64(j.Mean), float64(j.SE), float64(j.Stat), float64(j.P), j.N}
	return err
}

type testJSON struct {
	Mean finite `json:"mean"`
	SE   finite `json:"se"`
	Stat finite `json:"stat"`
	P    finite `json:"p"`
	N    int    `json:"n"`
}

// MarshalJSON writes stat, p and df.
func (t LikelihoodRatio) MarshalJSON() ([]byte, error) {
	return json.Marshal(ratioJSON{finite(t.Stat), finite(t.P), t.DF})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (t *LikelihoodRatio) UnmarshalJSON(b []byte) error {
	var j ratioJSON
	err := json.Unmarshal(b, &j)
	*t = LikelihoodRatio{float64(j.Stat), float64(j.P), j.DF}
	return err
}

type ratioJSON struct {
	Stat finite `json:"stat"`
	P    finite `json:"p"`
	DF   int    `json:"df"`
}

// finite is a float64 that is null where it is not finite.
type finite float64

func (v finite) MarshalJSON() ([]byte, error) {
	if x := float64(v); math.IsNaN(x) || math.IsInf(x, 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(v))
}

func (v *finite) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*v = finite(math.NaN())
		return nil
	}
	return json.Unmarshal(b, (*float64)(v))
}
