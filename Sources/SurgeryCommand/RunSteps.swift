import ArgumentParser
import CommandLineSupport
import Formats
import Models
import Surgery

struct RunSteps: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Does several things to a model and writes the result once.",
        discussion: """
            Each --step is what would be typed after `surgery`, without a model and without where and how to write: \
            \(SurgeryCommand.operations.map { $0._commandName }.joined(separator: ", ")). What one step makes is what the next one is given; no model in between is written, and \
            surgery.json lists all steps, so that `surgery verify` proves the result against the source.

            example:
              surgery run models/base -o models/grown --step 'dus --to 48' --step 'resize-vocab --learn 8000 --corpus ko.jsonl'
            """)

    @Argument(help: "The model: a folder, or a file of weights.")
    var model = "."

    @Option(help: "What is done, in order. A part with spaces in it stands in quotes.")
    var step: [String]

    @Option(name: [.customShort("o"), .long], help: "The folder to write.")
    var output: String

    @OptionGroup var options: OutputOptions

    func run() throws {
        let steps = try step.map(parse)
        try runReportingErrors {
            let source = try Checkpoint.openModel(model)
            if !options.allowDisagreement { try source.checkAgreement() }
            var total = Outcome(source)
            var details: [JSON] = []
            for (text, step) in zip(step, steps) {
                // A step may have put it into another library's terms.
                let made = try watching { context in
                    try total.checkpoint.asHuggingFace().applying(step.operation, context)
                }
                var object = JSONObject()
                object["step"] = .string(text)
                for (key, value) in made.details { object[key] = value }
                details.append(.object(object))
                total.checkpoint = made.checkpoint
                total.summary += made.summary
                total.changes += made.changes
                total.warnings += made.warnings
            }
            let writing = Writing(
                command: "run", source: source, result: total.checkpoint, output: output, options: options)
            var steps = JSONObject()
            steps["steps"] = .array(details)
            try writing.run(total, details: steps)
        }
    }

    private func parse(_ text: String) throws -> any OperationCommand {
        let words = Self.words(of: text)
        let known = SurgeryCommand.operations
        guard let name = words.first, let kind = known.first(where: { $0._commandName == name }) else {
            throw ValidationError(
                "--step '\(text)': a step begins with \(known.map { $0._commandName }.joined(separator: ", "))"
            )
        }
        let own = [
            "-o", "--output", "--force", "--dry-run", "--json", "--shard-size", "--allow-disagreement",
        ]
        if let word = words.first(where: { own.contains($0) }) {
            throw ValidationError("--step '\(text)': \(word) stands behind surgery run, not in a step")
        }
        let step: any OperationCommand
        do { step = try kind.parse(Array(words.dropFirst())) } catch {
            throw ValidationError("--step '\(text)': \(kind.message(for: error))")
        }
        guard step.model == "." else {
            throw ValidationError(
                "--step '\(text)': the model \(step.model) stands behind surgery run, not in a step")
        }
        return step
    }

    /// The words of a line, parts in single or double quotes being one.
    static func words(of text: String) -> [String] {
        var words: [String] = []
        var word: String?
        var quote: Character?
        for character in text {
            if character == quote {
                quote = nil
            } else if quote == nil, character == "'" || character == "\"" {
                quote = character
                word = word ?? ""
            } else if quote == nil, character.isWhitespace {
                if let finished = word { words.append(finished) }
                word = nil
            } else {
                word = (word ?? "") + String(character)
            }
        }
        return words + [word].compactMap(\.self)
    }
}
