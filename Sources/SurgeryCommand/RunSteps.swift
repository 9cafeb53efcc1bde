import ArgumentParser
import CommandLineSupport
import Formats
import Foundation
import Models
import Surgery
import Trainer

struct RunSteps: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract:
            "Does several things to a model and writes the result once, as a recipe or a command line says.",
        discussion: """
            A recipe is a YAML file with a model and steps; see Documentation/recipes.md, and --schema for editors. \
            --set changes what is in it: model=PATH, output=PATH or STEP.PARAMETER=VALUE.

            Without a recipe, each --step is what would be typed after `surgery`, without a model and without where and how \
            to write: \(SurgeryCommand.operations.map { $0._commandName }.joined(separator: ", ")). --save-recipe writes \
            the recipe that this is.

            What one step makes is what the next one is given; no model in between is written, unless a step says output. \
            surgery.json lists all steps, so that `surgery verify` proves the result against the source.

            With --dry-run a model may be a folder with config.json alone, and files that steps need may be missing.

            examples:
              surgery run recipes/solar-10.7b.yaml --set model=models/mistral-7b
              surgery run models/base -o models/grown --step 'dus --to 48' --step 'resize-vocab --learn 8000 --corpus ko.jsonl'
            """)

    @Argument(help: "A recipe (.yaml), or the model: a folder, or a file of weights.")
    var recipe = "."

    @Option(help: "What is done, in order. A part with spaces in it stands in quotes.")
    var step: [String] = []

    @Option(help: ArgumentHelp("Change a value of the recipe.", valueName: "key=value"))
    var set: [String] = []

    @Option(
        help: ArgumentHelp("Begin with this step, on what the one before it has written.", valueName: "step"))
    var fromStep: String?

    @Option(help: ArgumentHelp("Carry out this step alone.", valueName: "step"))
    var only: String?

    @Option(help: ArgumentHelp("Write the recipe that this command line is.", valueName: "file"))
    var saveRecipe: String?

    @Flag(help: "Print what a recipe may say, as JSON Schema.")
    var schema = false

    @Option(
        name: [.customShort("o"), .long], help: "The folder to write. (default: the recipe's name, here)")
    var output: String?

    @OptionGroup var options: OutputOptions

    private var isRecipe: Bool { ["yaml", "yml"].contains(Path.suffix(recipe)) }

    func validate() throws {
        if schema { return }
        if isRecipe {
            guard step.isEmpty else { throw ValidationError("a recipe has its own steps; leave --step out") }
            guard saveRecipe == nil else { throw ValidationError("--save-recipe goes with --step") }
            guard fromStep == nil || only == nil else { throw ValidationError("give --from-step or --only") }
        } else {
            guard !step.isEmpty else { throw ValidationError("give a recipe (.yaml), or --step") }
            guard output != nil else { throw ValidationError("--step needs -o, the folder to write") }
            guard set.isEmpty, fromStep == nil, only == nil else {
                throw ValidationError("--set, --from-step and --only go with a recipe")
            }
        }
    }

    func run() throws {
        if schema { return printJSON(Recipe.schema) }
        if isRecipe { return try runReportingErrors(runRecipe) }
        let steps = try step.map(parse)
        try runReportingErrors {
            if let saveRecipe {
                let text = Recipe.text(
                    model: Path.absolute(recipe), operations: steps.map(\.operation),
                    output: output.map { Path.absolute($0) }, tool: "surgery \(Version.current)")
                try Data(text.utf8).write(to: URL(filePath: saveRecipe), options: .withoutOverwriting)
                report("wrote \(saveRecipe)")
            }
            let named = zip(step, steps).map { (name: $0, operation: $1.operation, output: String?.none) }
            try carryOut(named, on: recipe, to: output ?? "")
        }
    }

    private func runRecipe() throws {
        var recipe = try Recipe.read(path: recipe)
        for assignment in set { try recipe.set(assignment) }
        if let fromStep { recipe = try recipe.starting(from: fromStep) }
        if let only { recipe = try recipe.only(only) }
        guard let model = recipe.model else { throw UserFacingError.noModelGiven(recipe.file) }
        for note in [("about", recipe.about)] + recipe.notes.map({ ($0.key, String?.some($0.text)) }) {
            if let text = note.1 {
                report("\(note.0): \(text.split(whereSeparator: \.isNewline).joined(separator: " "))")
            }
        }
        let steps = try recipe.steps.map {
            (name: $0.name, operation: try recipe.operation(of: $0), output: $0.output)
        }
        let name = Path.name(recipe.file).split(separator: ".").dropLast().joined(separator: ".")
        try carryOut(steps, on: model, to: output ?? recipe.output ?? Path.absolute(name))
    }

    /// Does the steps, and writes where one says so and at the end.
    private func carryOut(
        _ steps: [(name: String, operation: any SurgeryOperation, output: String?)], on model: String,
        to output: String
    ) throws {
        var source = try open(model)
        try options.checkAgreement(of: source)
        var total = Outcome(source)
        var details: [JSON] = []
        for (index, step) in steps.enumerated() {
            // A step may have put it into another library's terms.
            let made = try watching(options, isDryRun: options.dryRun) { context in
                try total.checkpoint.asHuggingFace().applying(step.operation, context)
            }
            details.append(detail(step.name, step.operation, made))
            total.checkpoint = made.checkpoint
            total.summary += made.summary
            total.changes += made.changes
            total.warnings += made.warnings
            let isLast = index == steps.count - 1
            guard isLast || step.output != nil else { continue }
            let folder = step.output ?? output
            let writing = Writing(
                command: "run", source: source, result: total.checkpoint, output: folder, options: options)
            var object = JSONObject()
            object["steps"] = .array(details)
            try writing.run(total, details: object)
            if isLast { return }
            if options.dryRun {
                total = Outcome(total.checkpoint)
            } else {
                source = try Checkpoint.openModel(folder)
                try options.checkAgreement(of: source)
                total = Outcome(source)
            }
            details = []
        }
    }

    /// The model; for a dry run one that has its configuration alone, the tensors then being those that its family has.
    private func open(_ model: String) throws -> Checkpoint {
        do {
            return try Checkpoint.openModel(model)
        } catch {
            guard options.dryRun, error.kind == .missing,
                FileSystem.kind(of: Path.join(model, Configuration.fileName)) == .file
            else { throw error }
            warn("\(model) has no weights: types and shapes follow from config.json")
            return try PretrainedModel.blank(model).checkpoint
        }
    }

    /// For programs: what a step was told, and what it makes.
    private func detail(_ name: String, _ operation: any SurgeryOperation, _ made: Outcome) -> JSON {
        var object = JSONObject()
        object["name"] = .string(name)
        object["operation"] = .string(type(of: operation).name)
        object["options"] = .object(operation.parameters)
        object["parameters"] = JSON(made.checkpoint.parameterCount)
        object["bytes"] = JSON(made.checkpoint.byteCount)
        for (key, value) in made.details { object[key] = value }
        object["warnings"] = .array(made.warnings.map { .string($0) })
        return .object(object)
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

extension UserFacingError {
    fileprivate static func noModelGiven(_ file: String) -> Self {
        Self(.request, "\(file) names no model; add --set model=PATH")
    }
}
