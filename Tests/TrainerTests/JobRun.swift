import Formats
import Foundation
import TestSupport
import Testing

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

    /// Carries it out by one start after another, each of which is stopped after so many steps; how often it was.
    func stopped(afterEvery count: Int = 1) throws -> (outcome: TrainingOutcome, stops: Int) {
        var run = self
        run.options.resume = true
        var stops = 0
        while true {
            final class Counter { var value = 0 }
            let taken = Counter()
            let loop = try TrainingLoop(run.prepared()) { if case .step = $0 { taken.value += 1 } }
            do { return (try loop { taken.value >= count }, stops) } catch let error as UserFacingError
                where error.isInterruption
            { stops += 1 }
        }
    }

    /// The gradients of the first batch of two sequences, by the tensors' names; `prepare` is given the teacher before.
    func firstGradients(prepare: (Teacher<DefaultEngine>) -> Void = { _ in }) throws -> [String: [Float]] {
        let stage = try #require(prepared().stages.first)
        let engine = try DefaultEngine(threads: 2)
        var data = stage.data
        let batch = try data.next(2)
        let model = try Transformer(
            stage.model.architecture, layout: stage.layout,
            plan: stage.plan.activations(stage.model.architecture, stage.layout), on: engine)
        try stage.model.load(into: model)
        let teacher = try #require(try stage.teacher(on: engine) { false })
        prepare(teacher)
        model.backward(batch, scale: 1 / Float(batch.targetCount), accumulate: false, teacher: teacher)
        var gradients: [String: [Float]] = [:]
        for parameter in stage.layout.parameters {
            gradients[parameter.name] = values(
                model.gradients(at: try #require(parameter.gradient)), on: engine)
        }
        return gradients
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
