package runs

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// writerFolder makes the test binary a process that writes one run.
const writerFolder = "MQC_TEST_RUNS"

func TestMain(m *testing.M) {
	if folder := os.Getenv(writerFolder); folder != "" {
		if err := writeRun(folder, os.Getenv(writerFolder+"_NAME")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

const eventsOfAWriter = 40

// writeRun records a whole run, an event at a time.
func writeRun(folder, name string) error {
	r, err := Open(folder)
	if err != nil {
		return err
	}
	defer r.Close()
	run, err := r.Start(Run{Stage: "pretrain", Checkpoint: name})
	if err != nil {
		return err
	}
	for i := range eventsOfAWriter {
		e := Event{Time: time.Unix(int64(i), 0), Kind: "step", Step: i + 1, Steps: eventsOfAWriter, Measures: map[string]float64{"loss": float64(i)}}
		if err := r.Append(run.ID, []Event{e}); err != nil {
			return err
		}
	}
	return r.End(run.ID, Finished, "")
}

func open(t *testing.T, folder string) *Registry {
	t.Helper()
	r, err := Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func TestARunIsKept(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "a folder, 100% ?#&é", "runs")
	r := open(t, folder)
	run, err := r.Start(Run{Stage: "sft", Command: "mqc stage3", Checkpoint: "/x/sft.pt"})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2024, 1, 2, 3, 4, 5, 6, time.UTC)
	events := []Event{
		{Time: at, Kind: "eval", Step: 0, Steps: 9, Measures: map[string]float64{"crps": .25}, Best: true},
		{Time: at.Add(time.Second), Kind: "step", Step: 1, Steps: 9, Measures: map[string]float64{"loss": 1, "lr": 1e-3}},
	}
	for _, e := range events {
		if err := r.Append(run.ID, []Event{e}); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.SetBest(run.ID, "crps", .25, 0); err != nil {
		t.Fatal(err)
	}
	if err := r.Append(run.ID, nil); err != nil {
		t.Fatal(err)
	}

	reader, err := OpenForReading(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	got, err := reader.Run(run.ID)
	if err != nil {
		t.Fatal(err)
	}
	best := .25
	want := Run{
		ID: run.ID, Stage: "sft", Command: "mqc stage3", Checkpoint: "/x/sft.pt", State: Running,
		Started: run.Started, Seen: at.Add(time.Second), Step: 1, Steps: 9, Metric: "crps", Best: &best,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Run(%d): -want +got\n%s", run.ID, diff)
	}
	read, err := reader.Events(run.ID, 0, All)
	if diff := cmp.Diff(events, read); err != nil || diff != "" {
		t.Errorf("Events: %v, -want +got\n%s", err, diff)
	}
	if read, err = reader.Events(run.ID, 1, All); err != nil || cmp.Diff(events[1:], read) != "" {
		t.Errorf("Events after the first: %v, %v", read, err)
	}
	if err := r.End(run.ID, Failed, "it diverged"); err != nil {
		t.Fatal(err)
	}
	list, err := reader.List()
	if err != nil || len(list) != 1 || list[0].State != Failed || list[0].Message != "it diverged" {
		t.Errorf("List: %+v, %v; want one failed run", list, err)
	}
	if _, err := reader.Start(Run{}); err == nil {
		t.Error("a registry that is open for reading was written to")
	}
}

func TestResumeGoesOnWithTheUnfinishedRun(t *testing.T) {
	r := open(t, t.TempDir())
	start := func(stage, path, state string) int64 {
		run, err := r.Start(Run{Stage: stage, Checkpoint: path})
		if err == nil {
			err = r.End(run.ID, state, "why")
		}
		if err != nil {
			t.Fatal(err)
		}
		return run.ID
	}
	start("rl", "/a", Stopped)
	want := start("rl", "/a", Stopped)
	start("rl", "/a", Finished)
	start("sft", "/a", Stopped)
	start("rl", "/b", Stopped)
	run, found, err := r.Resume("rl", "/a")
	if err != nil || !found || run.ID != want || run.State != Running || run.Message != "" {
		t.Errorf("Resume: %+v, %v, %v; want run %d", run, found, err, want)
	}
	if _, found, err := r.Resume("rl", "/c"); found || err != nil {
		t.Errorf("Resume of nothing: %v, %v", found, err)
	}
}

// Processes that make one registry at the same time and write to it in turn
// lose nothing.
func TestProcessesShareARegistry(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "runs")
	const processes = 6
	var wait sync.WaitGroup
	for i := range processes {
		wait.Go(func() {
			c := exec.Command(os.Args[0])
			c.Env = append(os.Environ(), writerFolder+"="+folder, writerFolder+"_NAME="+strconv.Itoa(i))
			if out, err := c.CombinedOutput(); err != nil {
				t.Errorf("process %d: %v: %s", i, err, out)
			}
		})
	}
	wait.Wait()
	r, err := OpenForReading(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	list, err := r.List()
	if err != nil || len(list) != processes {
		t.Fatalf("%d runs, %v; want %d", len(list), err, processes)
	}
	names := map[string]bool{}
	for _, run := range list {
		names[run.Checkpoint] = true
		events, err := r.Events(run.ID, 0, All)
		if err != nil || len(events) != eventsOfAWriter || run.State != Finished || run.Step != eventsOfAWriter {
			t.Errorf("run %+v has %d events, %v; want %d", run, len(events), err, eventsOfAWriter)
		}
		for i, e := range events {
			if e.Step != i+1 {
				t.Fatalf("run %d: event %d is of step %d", run.ID, i, e.Step)
			}
		}
	}
	if len(names) != processes {
		t.Errorf("runs of %d processes, want %d", len(names), processes)
	}
}

func TestFaults(t *testing.T) {
	folder := t.TempDir()
	if _, err := OpenForReading(folder); !errors.Is(err, ErrNone) {
		t.Errorf("OpenForReading of an empty folder: %v, want ErrNone", err)
	}
	if _, err := os.Stat(filepath.Join(folder, FileName)); err == nil {
		t.Error("OpenForReading made a registry")
	}
	if _, err := open(t, filepath.Join(folder, "runs")).Run(7); !errors.Is(err, ErrUnknown) {
		t.Errorf("Run(7): %v, want ErrUnknown", err)
	}
	file := filepath.Join(folder, "file")
	if err := os.WriteFile(file, []byte("no folder"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(file); err == nil {
		t.Error("Open of a file: no error")
	}
	if err := os.WriteFile(filepath.Join(folder, FileName), []byte("this is no registry, but long enough to be looked at"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(folder); err == nil {
		t.Error("Open of a damaged registry: no error")
	}
}
