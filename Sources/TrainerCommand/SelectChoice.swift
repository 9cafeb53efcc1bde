public import ArgumentParser
import CommandLineSupport
import Formats
public import Trainer

/// Which of the documents that nothing has dropped are chosen, as it is typed.
struct ChoiceOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "What chosen documents have most of: similarity or ngrams. Of several the mean rank counts.",
            valueName: "measure"))
    var by: [DocumentChoice.Measure] = []
    @Option(help: ArgumentHelp("Documents of the task that texts are chosen for.", valueName: "file"))
    var to: [String] = []
    @Option(help: ArgumentHelp("The key of a text in those files (as --text-key).", valueName: "key"))
    var toKey: String?
    @Option(help: ArgumentHelp("The model that measures documents.", valueName: "folder")) var model: String?
    @Option(help: ArgumentHelp("The share of the documents to choose, as 0.1.", valueName: "share"))
    var share: Double?
    @Option(
        help: ArgumentHelp(
            "What to choose of text, as 50MB or 2Mtokens; what doesn't fit is passed over.", valueName: "size"
        ))
    var budget: TextBudget?

    func validate() throws {
        if let share, !(share > 0 && share <= 1) {
            throw ValidationError("--share is above 0 and at most 1, not \(share)")
        }
        guard share == nil || budget == nil else {
            throw ValidationError("--share and --budget both say how much; give one")
        }
        if let twice = by.firstRepeated {
            throw ValidationError("--by \(twice.rawValue) is there twice; once is enough")
        }
        guard by.isEmpty || amount != nil else {
            throw ValidationError(
                "--by says which documents come first, and nothing how many; give --share or --budget")
        }
        guard !by.isEmpty || amount == nil else {
            throw ValidationError("--share and --budget say how many documents, and nothing which; give --by")
        }
        try validateTask()
        try validateModel()
    }

    private func validateTask() throws {
        if let measure = by.first(where: \.needsTask), to.isEmpty {
            throw ValidationError(
                "--by \(measure.rawValue) compares with a task; give some of its documents: --to FILE")
        }
        guard to.isEmpty || by.contains(where: \.needsTask) else {
            throw ValidationError("--to goes with --by similarity and --by ngrams")
        }
        guard toKey == nil || !to.isEmpty else { throw ValidationError("--to-key goes with --to") }
        try refuseModels(among: to)
    }

    private func validateModel() throws {
        if let measure = by.first(where: \.needsModel), model == nil {
            throw ValidationError("--by \(measure.rawValue) asks a model; give one: --model FOLDER")
        }
        if case .tokens = budget?.amount, model == nil {
            throw ValidationError("a budget of tokens needs what makes them; give a model: --model FOLDER")
        }
        guard model == nil || choice(textKey: "")?.needsModel == true else {
            throw ValidationError(
                "--model goes with --by similarity and with a budget of tokens; nothing asks it here")
        }
    }

    private var amount: DocumentChoice.Amount? { share.map { .share($0) } ?? budget?.amount }

    /// What the chosen documents take of a budget, in words.
    func taken(_ count: Int) -> String {
        switch budget?.amount {
        case .tokens: ", \(Units.grouped(count)) tokens"
        case .bytes: ", \(Units.bytes(count)) of text"
        default: ""
        }
    }

    /// What was typed; nil where nothing is chosen.
    func choice(textKey: String) -> DocumentChoice? {
        guard let amount else { return nil }
        var choice = DocumentChoice(amount, taskKey: toKey ?? textKey)
        (choice.measures, choice.task, choice.model) = (by, to, model)
        return choice
    }
}

/// How much text, as it is typed: bytes (`50MB`) or tokens (`2Mtokens`).
struct TextBudget: ExpressibleByArgument {
    let amount: DocumentChoice.Amount

    init?(argument: String) {
        let text = argument.filter { $0 != " " }
        guard text.lowercased().hasSuffix("tokens") else {
            guard let size = ByteSize(argument: text) else { return nil }
            amount = .bytes(size.bytes)
            return
        }
        let number = String(text.dropLast("tokens".count))
        guard !number.lowercased().hasSuffix("b"), let size = ByteSize(argument: number) else { return nil }
        amount = .tokens(size.bytes)
    }
}

extension DocumentChoice.Measure: ExpressibleByArgument {}
