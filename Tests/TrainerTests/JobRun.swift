import Formats
import Foundation
import TestSupport

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

/// Writes `english.jsonl` and `korean.jsonl`, two documents each, and `source`, a model in bfloat16 with a tokenizer that three
/// steps of English have taught next to nothing.
func barelyTrainedModel(in folder: TemporaryFolder) throws {
    for name in ["english", "korean"] {
        let text = try String(contentsOfFile: example("data/\(name).val.jsonl"), encoding: .utf8)
        try folder.write("\(name).jsonl", text.split(separator: "\n").prefix(2).joined(separator: "\n"))
    }
    try blankModel(in: folder)
    var run = JobRun(on: folder.path, to: folder.path("source"))
    run.job.data = [TextSource(name: "en", path: folder.path("english.jsonl"), weight: 1)]
    (run.job.steps, run.job.batch, run.job.length, run.job.lr) = (3, 2, 24, 1e-2)
    run.job.fromScratch = true
    try run()
}
