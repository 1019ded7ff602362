package main

import "testing"

func TestTableOnANarrowTerminal(t *testing.T) {
	table := newTable("model", "nats/token", "top-1", "")
	table.add("unigram", 6.2051, 0.01, "")
	table.add("best_model", 6.1424, 0.02, "early stopping")
	wide := table.String()
	for _, width := range []int{0, 200} {
		if table.width = width; table.String() != wide {
			t.Errorf("at %d columns\n%s\nwant\n%s", width, table, wide)
		}
	}
	table.width = 30
	want := `unigram
  nats/token  6.2051
  top-1       0.0100
best_model
  nats/token  6.1424
  top-1       0.0200
              early stopping`
	if got := table.String(); got != want {
		t.Errorf("at 30 columns\n%s\nwant\n%s", got, want)
	}
}
