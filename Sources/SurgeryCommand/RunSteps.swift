import ArgumentParser
import CommandLineSupport
import Formats
import Foundation
import Recipes
import Surgery

struct RunSteps: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract:
            "Does several things to a model and writes the result once, as a recipe or a command line says.",
        discussion: """
            A recipe is a YAML file with a model and steps: surgery, healing (`heal`, with trainer heal's options), \
            choosing its texts (`select`, with trainer select's) and evaluation (`eval`); see Documentation/recipes.md, and --schema for editors. \
            --set changes what is in it: model=PATH, output=PATH or STEP.PARAMETER=VALUE.

            Without a recipe, each --step is what would be typed after `surgery`, without a model and without where and how \
            to write: \(SurgeryCommand.operations.map { $0._commandName }.joined(separator: ", ")). \
            Of average the model is the dot that stands before the others, as in 'average . B'. --save-recipe writes the \
            recipe that this is.

            What one step makes is what the next one is given; no model in between is written, unless a step says output, \
            or it is healed. surgery.json lists all steps, so that `surgery verify` proves the result against the source. \
            A run that was stopped goes on with the same command; --force begins again.

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
                try save(steps.map(\.operation), to: saveRecipe)
            }
            let named = zip(step, steps).map { RecipeRun.Step(name: $0, operation: $1.operation) }
            try carryOut(named, on: recipe, to: output ?? "")
        }
    }

    /// Writes the recipe that the command line is; what is there and says the same, as when the command goes on, stays.
    private func save(_ operations: [any SurgeryOperation], to path: String) throws {
        let text = Recipe.text(
            model: HubCache.isName(recipe) ? recipe : Path.absolute(recipe), operations: operations,
            output: output.map { Path.absolute($0) }, tool: "surgery \(Version.current)")
        if FileSystem.kind(of: path) == .file, try InputFile(path: path).bytes() == Array(text.utf8) {
            return
        }
        guard options.force || FileSystem.kind(of: path) == nil else {
            throw ValidationError("\(path) exists; give another name, or --force to replace it")
        }
        if options.dryRun { return report("would write \(path)") }
        try AtomicFile(path: path).publish(Array(text.utf8))
        report("wrote \(path)")
    }

    private func runRecipe() throws {
        var recipe = try Recipe.read(path: recipe)
        for assignment in set { try recipe.set(assignment) }
        if let output { try recipe.set("output=\(output)") }
        let first = recipe.model
        if let fromStep { recipe = try recipe.starting(from: fromStep) }
        if let only { recipe = try recipe.only(only) }
        // Of one step alone the recipe's output is that of another.
        if output != nil || only == nil { try recipe.checkResult() }
        guard recipe.model == first || !set.contains(where: { $0.hasPrefix("model=") }) else {
            throw ValidationError(
                "--set model names what the recipe begins with, and \(fromStep ?? only ?? "") begins with \(recipe.model ?? "")"
            )
        }
        guard let model = recipe.model else { throw UserFacingError.noModelGiven(recipe.file) }
        for note in [("about", recipe.about)] + recipe.notes.map({ ($0.key, String?.some($0.text)) }) {
            if let text = note.1 {
                report("\(note.0): \(text.split(whereSeparator: \.isNewline).joined(separator: " "))")
            }
        }
        let steps = try recipe.carriedOut()
        for path in [recipe.result] + steps.compactMap(\.output) {
            if let file = TextPaths.source(in: path, among: [recipe.file]) {
                throw UserFacingError.isSource(path: path, source: file)
            }
        }
        try carryOut(steps, on: model, to: recipe.result)
    }

    /// Carries the steps out, tells of them, and prints the report for programs.
    private func carryOut(_ steps: [RecipeRun.Step], on model: String, to output: String) throws {
        Interruption.watch()
        var runOptions = RecipeRun.Options()
        runOptions.write = options.writeOptions
        runOptions.isDryRun = options.dryRun
        runOptions.allowsDisagreement = options.allowDisagreement
        runOptions.threads = Processor.count
        let narrator = RunNarrator(options: options)
        defer { narrator.finish() }
        let run = RecipeRun(
            steps, on: model, to: output, options: runOptions, isCancelled: { Interruption.signal != nil },
            tell: narrator.tell, selecting: narrator.selecting.show)
        try run()
        narrator.finish()
        if options.dryRun { report("nothing was written (--dry-run)") }
        if options.json { printJSON(narrator.json) }
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
        if let word = words.first(where: { word in
            own.contains { word == $0 || word.hasPrefix($0 + "=") }
        }) {
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
