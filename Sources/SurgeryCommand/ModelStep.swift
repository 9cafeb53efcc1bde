import ArgumentParser
import Formats

/// A command that makes another model of a model, by itself or as one of several steps.
protocol ModelStep: ParsableCommand {
    /// The model that it is given; the current folder's where nothing was typed.
    var model: String { get }

    /// What it makes of a model; nothing is written.
    func apply(to source: Checkpoint) throws -> StepResult
}

/// What a step makes, and what is told of it.
struct StepResult {
    /// The model, not written yet.
    let checkpoint: Checkpoint
    /// What its folder's name says of it.
    var suffix = ""
    /// For people: label and text.
    var rows: [(String, String)] = []
    /// What changes in the configuration, a line each.
    var changes: [String] = []
    /// For programs: keys and values.
    var details: [(String, JSON)] = []
}
