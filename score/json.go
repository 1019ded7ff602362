package score

import (
	"encoding/json"
	"math"
)

// JSON has no NaN and no infinity: what is not finite is written as null and
// read as NaN.

// MarshalJSON writes mean, se, stat, p and n.
func (t Test) MarshalJSON() ([]byte, error) {
	return json.Marshal(testJSON{Number(t.Mean), Number(t.SE), Number(t.Stat), Number(t.P), t.N})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (t *Test) UnmarshalJSON(b []byte) error {
	var j testJSON
	err := json.Unmarshal(b, &j)
	*t = Test{float64(j.Mean), float64(j.SE), float64(j.Stat), float64(j.P), j.N}
	return err
}

type testJSON struct {
	Mean Number `json:"mean"`
	SE   Number `json:"se"`
	Stat Number `json:"stat"`
	P    Number `json:"p"`
	N    int    `json:"n"`
}

// MarshalJSON writes stat, p and df.
func (t LikelihoodRatio) MarshalJSON() ([]byte, error) {
	return json.Marshal(ratioJSON{Number(t.Stat), Number(t.P), t.DF})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (t *LikelihoodRatio) UnmarshalJSON(b []byte) error {
	var j ratioJSON
	err := json.Unmarshal(b, &j)
	*t = LikelihoodRatio{float64(j.Stat), float64(j.P), j.DF}
	return err
}

type ratioJSON struct {
	Stat Number `json:"stat"`
	P    Number `json:"p"`
	DF   int    `json:"df"`
}

// Number is a float64 that JSON holds as null where it is not finite.
type Number float64

func (v Number) MarshalJSON() ([]byte, error) {
	if x := float64(v); math.IsNaN(x) || math.IsInf(x, 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(v))
}

func (v *Number) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*v = Number(math.NaN())
		return nil
	}
	return json.Unmarshal(b, (*float64)(v))
}
