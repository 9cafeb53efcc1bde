import ArgumentParser
import CommandLineSupport
import Formats
import Models
import Recipes
import Surgery

/// A command that does one operation to a model and writes the result.
protocol OperationCommand: ParsableCommand {
    /// The model that it is given; the current folder's where nothing was typed.
    var model: String { get }
    /// The folder to write; nil for one beside the model.
    var output: String? { get }
    var options: OutputOptions { get }
    /// What is done, as it was typed.
    var operation: any SurgeryOperation { get }

    /// Opens the model.
    func source() throws -> Checkpoint
    /// The folder to write where none was typed; `suffix` says what was done.
    func standardOutput(suffix: String) -> String
}

extension OperationCommand {
    func source() throws -> Checkpoint { try Checkpoint.openModel(model) }

    func standardOutput(suffix: String) -> String { OutputPath.beside(model, suffix: suffix) }

    func run() throws {
        try runReportingErrors {
            let source = try source()
            try options.checkAgreement(of: source)
            let outcome = try watching(options) { context in try source.applying(operation, context) }
            let writing = Writing(
                command: type(of: operation).name, source: source, result: outcome.checkpoint,
                output: output ?? standardOutput(suffix: outcome.suffix), options: options)
            try writing.run(outcome)
        }
    }
}

/// Gives an operation threads, shows how far it is, and stops it when the user says so.
func watching<Result>(
    _ options: OutputOptions, _ body: (OperationContext) throws -> Result
) rethrows -> Result {
    Interruption.watch()
    let progress = OperationProgress()
    defer { progress.clear() }
    return try body(
        OperationContext(
            threads: Processor.count,
            checkAgreement: { (model) throws(UserFacingError) in try options.checkAgreement(of: model) },
            probe: RowProbe(
                threads: Processor.count, isDryRun: options.dryRun,
                say: { text in
                    progress.clear()
                    report(text)
                }),
            isCancelled: { Interruption.signal != nil }, progress: progress.show))
}

/// The line that says how far an operation is; a new meter for each thing that it does.
final class OperationProgress {
    private var line = ProgressLine()
    private var meter = ProgressMeter()
    private var doing = ""

    func show(_ doing: String, _ done: Int, _ total: Int) {
        if doing != self.doing { (self.doing, meter) = (doing, ProgressMeter()) }
        line.update("\(doing) \(meter.bytes(done: done, of: total))")
    }

    func clear() { line.clear() }
}

extension Outcome {
    /// For programs: what followed, and what changed in the configuration.
    var details: JSONObject {
        var details = facts
        details["configuration"] = .array(
            changes.map {
                ["key": .string($0.key), "before": $0.before ?? .null, "after": $0.after ?? .null]
            })
        return details
    }
}
