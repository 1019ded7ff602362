// Package report lays out what is known of a model: the tables of eval for the
// terminal, and the report card, one HTML, Markdown or JSON file with verdicts
// that follow from the tests of significance.
package report
