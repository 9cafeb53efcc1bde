import Formats

@testable import Trainer

/// A job, the model that it is carried out on, where to and how.
struct JobRun {
    var job = TrainingJob()
    var options = RunOptions()
    var model: String
    var checkpoint: Checkpoint?
    var output: String

    init(on model: String, to output: String) { (self.model, self.output) = (model, output) }

    func prepared() throws -> PreparedJob {
        try PreparedJob(job, on: model, checkpoint: checkpoint, to: output, options: options)
    }

    /// Carries it out to its end.
    @discardableResult
    func callAsFunction(notify: @escaping (TrainingEvent) -> Void = { _ in }) throws -> TrainingOutcome {
        try TrainingLoop(prepared(), notify: notify).callAsFunction { false }
    }
}
