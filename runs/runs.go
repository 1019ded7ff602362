// Package runs keeps what happened: training runs and their events, in one SQLite
// file that any number of processes may write to and read at once. It knows
// nothing of models.
package runs

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// FileName is the registry in its folder.
const FileName = "runs.db"

// States of a run.
const (
	Running  = "running"  // or its process died without a word: see Run.Seen
	Finished = "finished" // its checkpoint is there
	Stopped  = "stopped"  // by its user; it can be resumed
	Failed   = "failed"
)

// Run is one run of a stage.
type Run struct {
	ID         int64     `json:"id"`
	Stage      string    `json:"stage"`
	Command    string    `json:"command"`    // that started it
	Checkpoint string    `json:"checkpoint"` // absolute path of what it writes
	State      string    `json:"state"`
	Started    time.Time `json:"started"`
	Seen       time.Time `json:"seen"` // when it last wrote
	Step       int       `json:"step"`
	Steps      int       `json:"steps"` // of the whole run; 0 before its first event
	Metric     string    `json:"metric,omitempty"`
	Best       *float64  `json:"best"` // of the metric; nil: nothing was validated yet
	BestStep   int       `json:"best_step"`
	Message    string    `json:"message,omitempty"` // why it failed
}

// Event is one line of what a run did.
type Event struct {
	Time     time.Time          `json:"time"`
	Kind     string             `json:"kind"`
	Step     int                `json:"step"`
	Steps    int                `json:"steps"`
	Measures map[string]float64 `json:"measures"`
	Best     bool               `json:"best,omitempty"`
}

// ErrNone says that a folder has no registry.
var ErrNone = errors.New("no run was recorded there")

// ErrUnknown says that no run has an id.
var ErrUnknown = errors.New("no such run")

// Registry is an open registry. Any number of goroutines may use it.
type Registry struct {
	db   *sql.DB
	path string
}

// patience is how long a process waits for others that write, in milliseconds.
const patience = "busy_timeout(10000)"

const schema = `
CREATE TABLE IF NOT EXISTS runs (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	stage      TEXT NOT NULL,
	command    TEXT NOT NULL,
	checkpoint TEXT NOT NULL,
	state      TEXT NOT NULL,
	started    INTEGER NOT NULL, -- nanoseconds since 1970
	seen       INTEGER NOT NULL,
	step       INTEGER NOT NULL DEFAULT 0,
	steps      INTEGER NOT NULL DEFAULT 0,
	metric     TEXT NOT NULL DEFAULT '',
	best       REAL,
	best_step  INTEGER NOT NULL DEFAULT 0,
	message    TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS events (
	run      INTEGER NOT NULL REFERENCES runs (id),
	time     INTEGER NOT NULL,
	kind     TEXT NOT NULL,
	step     INTEGER NOT NULL,
	steps    INTEGER NOT NULL,
	measures TEXT NOT NULL, -- JSON
	best     INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS events_of_run ON events (run);
`

// Open opens the registry of a folder for writing. Folder and registry are made
// where they are missing.
func Open(folder string) (*Registry, error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, fmt.Errorf("runs: %w", err)
	}
	r, err := connect(folder, patience, "journal_mode(WAL)", "synchronous(NORMAL)")
	if err != nil {
		return nil, err
	}
	if err := r.prepare(); err != nil {
		r.Close()
		return nil, r.fault(err)
	}
	return r, nil
}

// OpenForReading opens the registry of a folder. It fails with [ErrNone] where
// there is none, and changes nothing.
func OpenForReading(folder string) (*Registry, error) {
	path := filepath.Join(folder, FileName)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("runs: %s: %w", path, ErrNone)
	} else if err != nil {
		return nil, fmt.Errorf("runs: %w", err)
	}
	return connect(folder, patience, "query_only(1)")
}

func connect(folder string, pragmas ...string) (*Registry, error) {
	path, err := filepath.Abs(filepath.Join(folder, FileName))
	if err != nil {
		return nil, fmt.Errorf("runs: %w", err)
	}
	// A transaction that begins with the right to write never has to wait
	// for it half-way, where waiting would not help.
	options := url.Values{"_txlock": {"immediate"}, "_pragma": pragmas}
	file := filepath.ToSlash(path)
	if !strings.HasPrefix(file, "/") {
		file = "/" + file // a drive letter
	}
	name := url.URL{Scheme: "file", Path: file, RawQuery: options.Encode()}
	db, err := sql.Open("sqlite", name.String())
	if err != nil {
		return nil, fmt.Errorf("runs: %s: %w", path, err)
	}
	return &Registry{db: db, path: path}, nil
}

// prepare makes the tables. Two processes that make a new registry at once may
// find it locked whatever they wait for, as the first turns the log of the file
// on: the second tries again.
func (r *Registry) prepare() error {
	var err error
	for range 100 {
		_, err = r.db.Exec(schema)
		var fault *sqlite.Error
		if !errors.As(err, &fault) || fault.Code()&0xff != sqlite3.SQLITE_BUSY {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
	return err
}

// Close closes the registry.
func (r *Registry) Close() error { return r.db.Close() }

func (r *Registry) fault(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("runs: %s: %w", r.path, err)
}

// Start records a new run, and fills in its id, state and times.
func (r *Registry) Start(run Run) (Run, error) {
	run.State, run.Started = Running, time.Now().UTC()
	run.Seen = run.Started
	result, err := r.db.Exec(`INSERT INTO runs (stage, command, checkpoint, state, started, seen, metric) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		run.Stage, run.Command, run.Checkpoint, run.State, run.Started.UnixNano(), run.Seen.UnixNano(), run.Metric)
	if err == nil {
		run.ID, err = result.LastInsertId()
	}
	return run, r.fault(err)
}

// Resume goes on with the newest run of a stage to a checkpoint that did not
// finish, and reports whether there is one.
func (r *Registry) Resume(stage, checkpoint string) (run Run, found bool, err error) {
	err = r.within(func(tx *sql.Tx) error {
		run, err = scanRun(tx.QueryRow(selectRuns+` WHERE stage = ? AND checkpoint = ? AND state <> ? ORDER BY id DESC LIMIT 1`, stage, checkpoint, Finished))
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		found = true
		run.State, run.Message = Running, ""
		_, err = tx.Exec(`UPDATE runs SET state = ?, message = '', seen = ? WHERE id = ?`, Running, time.Now().UnixNano(), run.ID)
		return err
	})
	return run, found, err
}

// Append records events of a run, all or none of them.
func (r *Registry) Append(id int64, events []Event) error {
	if len(events) == 0 {
		return nil
	}
	return r.within(func(tx *sql.Tx) error {
		insert, err := tx.Prepare(`INSERT INTO events (run, time, kind, step, steps, measures, best) VALUES (?, ?, ?, ?, ?, ?, ?)`)
		if err != nil {
			return err
		}
		defer insert.Close()
		for _, e := range events {
			measures, err := json.Marshal(e.Measures)
			if err != nil {
				return err
			}
			if _, err := insert.Exec(id, e.Time.UnixNano(), e.Kind, e.Step, e.Steps, string(measures), e.Best); err != nil {
				return err
			}
		}
		last := events[len(events)-1]
		_, err = tx.Exec(`UPDATE runs SET seen = ?, step = ?, steps = ? WHERE id = ?`, last.Time.UnixNano(), last.Step, last.Steps, id)
		return err
	})
}

// SetBest records the best value of a run's metric so far.
func (r *Registry) SetBest(id int64, metric string, value float64, step int) error {
	_, err := r.db.Exec(`UPDATE runs SET metric = ?, best = ?, best_step = ? WHERE id = ?`, metric, value, step, id)
	return r.fault(err)
}

// End records how a run ended.
func (r *Registry) End(id int64, state, message string) error {
	_, err := r.db.Exec(`UPDATE runs SET state = ?, message = ?, seen = ? WHERE id = ?`, state, message, time.Now().UnixNano(), id)
	return r.fault(err)
}

// within runs work in one transaction.
func (r *Registry) within(work func(*sql.Tx) error) error {
	tx, err := r.db.BeginTx(context.Background(), nil)
	if err != nil {
		return r.fault(err)
	}
	if err := work(tx); err != nil {
		return r.fault(errors.Join(err, tx.Rollback()))
	}
	return r.fault(tx.Commit())
}

const selectRuns = `SELECT id, stage, command, checkpoint, state, started, seen, step, steps, metric, best, best_step, message FROM runs`

// scanRun reads one row of selectRuns.
func scanRun(row interface{ Scan(...any) error }) (run Run, err error) {
	var started, seen int64
	err = row.Scan(&run.ID, &run.Stage, &run.Command, &run.Checkpoint, &run.State, &started, &seen, &run.Step, &run.Steps, &run.Metric, &run.Best, &run.BestStep, &run.Message)
	run.Started, run.Seen = time.Unix(0, started).UTC(), time.Unix(0, seen).UTC()
	return run, err
}

// List returns all runs, the newest first.
func (r *Registry) List() ([]Run, error) {
	rows, err := r.db.Query(selectRuns + ` ORDER BY id DESC`)
	if err != nil {
		return nil, r.fault(err)
	}
	defer rows.Close()
	var list []Run
	for rows.Next() {
		run, err := scanRun(rows)
		if err != nil {
			return nil, r.fault(err)
		}
		list = append(list, run)
	}
	return list, r.fault(rows.Err())
}

// Run returns one run. It fails with [ErrUnknown] where there is none.
func (r *Registry) Run(id int64) (Run, error) {
	run, err := scanRun(r.db.QueryRow(selectRuns+` WHERE id = ?`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return run, fmt.Errorf("runs: %s: %d: %w", r.path, id, ErrUnknown)
	}
	return run, r.fault(err)
}

// All is the limit of [Registry.Events] that leaves nothing out.
const All = -1

// Events returns at most limit events of a run in the order in which they were
// recorded, without the first so many.
func (r *Registry) Events(id int64, after, limit int) ([]Event, error) {
	rows, err := r.db.Query(`SELECT time, kind, step, steps, measures, best FROM events WHERE run = ? ORDER BY rowid LIMIT ? OFFSET ?`, id, limit, after)
	if err != nil {
		return nil, r.fault(err)
	}
	defer rows.Close()
	var list []Event
	for rows.Next() {
		var e Event
		var at int64
		var measures string
		if err := rows.Scan(&at, &e.Kind, &e.Step, &e.Steps, &measures, &e.Best); err != nil {
			return nil, r.fault(err)
		}
		e.Time = time.Unix(0, at).UTC()
		if err := json.Unmarshal([]byte(measures), &e.Measures); err != nil {
			return nil, r.fault(err)
		}
		list = append(list, e)
	}
	return list, r.fault(rows.Err())
}
