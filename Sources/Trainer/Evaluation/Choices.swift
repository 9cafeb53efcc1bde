package import Formats
internal import Models

/// What a model makes of a set of questions with choices.
public struct ChoiceResult: Codable, Sendable, Equatable {
    /// How often the right choice is the likeliest: of the sums of its tokens' log-likelihoods, the largest.
    public let accuracy: Double
    /// The same where each sum is divided by the choice's characters, as they stand in the file.
    public let normalizedAccuracy: Double
    /// The standard error of ``accuracy``: the sample's deviation over √n; no number for a single item.
    public let standardError: Double
    /// How many questions there are.
    public let items: Int

    /// What decisions come to.
    init(_ decisions: [ChoiceDecision]) {
        let count = Double(decisions.count)
        let known = decisions.allSatisfy { $0.logLikelihoods.allSatisfy(\.isFinite) }
        func share(_ right: (ChoiceDecision) -> Bool) -> Double {
            known ? Double(decisions.count(where: right)) / count : .nan
        }
        accuracy = share { $0.chosen == $0.answer }
        normalizedAccuracy = share { $0.chosenByCharacter == $0.answer }
        // Of zeros and ones, Σ (x − m)² = n · m · (1 − m).
        standardError = (accuracy * (1 - accuracy) / (count - 1)).squareRoot()
        items = decisions.count
    }

    enum CodingKeys: String, CodingKey {
        case accuracy = "acc"
        case normalizedAccuracy = "acc_norm"
        case standardError = "acc_stderr"
        case items
    }
}

/// What a model makes of one question.
public struct ChoiceDecision: Sendable, Equatable {
    /// The question's line in its file, from 1.
    public let line: Int
    /// The right choice, from 0.
    public let answer: Int
    /// The log-likelihood of each choice after the context, in nats.
    public let logLikelihoods: [Double]
    /// The likeliest choice; of several the first.
    public let chosen: Int
    /// The likeliest by character.
    public let chosenByCharacter: Int

    init(_ item: ChoiceItem, _ logLikelihoods: [Double]) {
        line = item.line
        answer = item.answer
        self.logLikelihoods = logLikelihoods
        chosen = logLikelihoods.firstOfLargest
        chosenByCharacter =
            zip(logLikelihoods, item.choices)
            .map { $0 / Double($1.unicodeScalars.count) }.firstOfLargest
    }
}

/// A context, what may follow it, and what does.
struct ChoiceItem: Sendable, Equatable {
    let context: String
    let choices: [String]
    /// The right choice, from 0.
    let answer: Int
    /// Its line in the file, from 1.
    let line: Int

    /// The items of a file, one a line: `{"context": …, "choices": […], "answer": …}`.
    ///
    /// - Throws: ``UserFacingError`` that names the first line that is none.
    static func read(_ path: String) throws(UserFacingError) -> [ChoiceItem] {
        var items: [ChoiceItem] = []
        try JSONLines.forEach(in: path) { line, json throws(UserFacingError) in
            items.append(try ChoiceItem(json, path: path, line: line))
        }
        guard !items.isEmpty else { throw .noChoices(path: path) }
        return items
    }

    private init(_ json: JSON, path: String, line: Int) throws(UserFacingError) {
        func bad(_ found: String) -> UserFacingError { .badChoices(path: path, line: line, found: found) }
        guard json.object != nil else { throw bad("it is \(json.kind)") }
        func value(_ key: String) throws(UserFacingError) -> JSON {
            guard let value = json[key] else { throw bad("it has no \"\(key)\"") }
            return value
        }
        let (context, choices) = (try value("context"), try value("choices"))
        let answer = try value("answer")
        guard let text = context.string else { throw bad("its \"context\" is \(context.kind)") }
        guard let list = choices.array else { throw bad("its \"choices\" are \(choices.kind)") }
        var texts: [String] = []
        for (index, choice) in list.enumerated() {
            guard let text = choice.string else { throw bad("its choice \(index) is \(choice.kind)") }
            guard !text.isEmpty else { throw bad("its choice \(index) is empty") }
            texts.append(text)
        }
        guard texts.count > 1 else { throw bad(texts.isEmpty ? "it has no choice" : "it has one choice") }
        guard let right = answer.int else { throw bad("its \"answer\" is \(answer.kind)") }
        guard texts.indices.contains(right) else {
            throw bad("its \"answer\" is \(right), and its choices are 0 to \(texts.count - 1)")
        }
        (self.context, self.choices, self.answer, self.line) = (text, texts, right, line)
    }
}

/// Questions with choices, encoded.
public struct ChoiceSet: Sendable {
    /// What the set is called.
    public let name: String
    /// What there is to know of it, a sentence each.
    public let warnings: [String]
    private let items: [ChoiceItem]
    /// What is asked for, each once: choices of the same tokens are exactly alike.
    private let texts: [EncodedContinuation]
    /// Which text each choice of each item is, one item after the other.
    private let places: [Int]

    /// Reads and encodes a file.
    ///
    /// - Throws: ``UserFacingError`` naming the file, the line, and what is wrong with it.
    init(name: String, path: String, _ encoder: ContinuationEncoder) throws(UserFacingError) {
        self.name = name
        items = try ChoiceItem.read(path)
        var (texts, places): ([EncodedContinuation], [Int]) = ([], [])
        var known: [EncodedContinuation: Int] = [:]
        for item in items {
            for (index, choice) in item.choices.enumerated() {
                do {
                    let text = try encoder.encode(item.context, choice)
                    places.append(known[text, default: texts.count])
                    if known.updateValue(places[places.count - 1], forKey: text) == nil { texts.append(text) }
                } catch {
                    throw .unusableChoice(path: path, line: item.line, choice: index, error)
                }
            }
        }
        (self.texts, self.places) = (texts, places)
        let cut = places.count { texts[$0].cut > 0 }
        warnings =
            cut == 0
            ? []
            : [
                """
                \(path): the model sees fewer tokens than \(cut) of \(places.count) choices have with their contexts, \
                which were cut at the start
                """
            ]
    }

    /// Reads sets for a model, each from a file.
    ///
    /// - Throws: a `UserFacingError` naming the file.
    static func read(
        _ files: [(name: String, path: String)], for model: PretrainedModel, isPlain: Bool = false
    ) throws -> [ChoiceSet] {
        guard !files.isEmpty else { return [] }
        let tokenizer = try model.tokenizer().reading(TextOptions(isPlain: isPlain))
        let encoder = ContinuationEncoder(
            tokenizer, start: try model.documentLayout(tokenizer, endOfText: .ofModel).layout.start,
            vocabularySize: model.architecture.vocabularySize,
            maximumLength: model.architecture.maximumLength)
        return try files.map { try ChoiceSet(name: $0.name, path: $0.path, encoder) }
    }

    /// How many tokens the model sees at once at most.
    var longest: Int { texts.reduce(1) { max($0, $1.tokens.count - 1) } }

    /// How many rows of `length` tokens the texts take.
    func rowCount(length: Int) -> Int { packed(into: length).rows.count }

    private func packed(into length: Int) -> PackedWindows {
        let windows = texts.enumerated().map { index, text in
            let last = text.tokens.count - 1
            return PackedWindows.Window(sequence: index, input: 0..<last, first: last - text.count)
        }
        return PackedWindows(windows, of: texts.map(\.tokens), into: length)
    }

    /// What `model`, planned for rows of ``longest`` tokens at least, makes of each item.
    ///
    /// - Throws: ``UserFacingError`` when `isCancelled`, which is asked before each batch, stopped it.
    func decisions<Device: Engine>(
        of model: Transformer<Device>, isCancelled: () -> Bool = { false }
    ) throws(UserFacingError) -> [ChoiceDecision] {
        var sums = [Double](repeating: 0, count: texts.count)
        for batch in packed(into: model.plan.sequenceLength).batches(of: model.plan.batch) {
            if isCancelled() { throw .interrupted("; nothing is kept") }
            let losses = model.losses(of: batch.sequences)
            for (window, rows) in batch.windows {
                sums[window.sequence] = -losses[rows].reduce(0) { $0 + Double($1) }
            }
        }
        var rest = places[...]
        return items.map { item in
            let own = rest.prefix(item.choices.count)
            rest = rest.dropFirst(item.choices.count)
            return ChoiceDecision(item, own.map { sums[$0] })
        }
    }
}

extension [Double] {
    /// The place of the largest number, of several the first, as NumPy's `argmax` has it.
    fileprivate var firstOfLargest: Int {
        indices.reduce(0) { self[$1] > self[$0] ? $1 : $0 }
    }
}

// Why questions with choices can't be used.
extension UserFacingError {
    /// A line is no question with choices.
    package static func badChoices(path: String, line: Int, found: String) -> Self {
        Self(
            .malformed,
            """
            \(path), line \(line): \(found); expected {"context": "…", "choices": ["…", "…"], "answer": 0}, the answer \
            being the right choice's place, from 0
            """)
    }

    /// The file has no line.
    package static func noChoices(path: String) -> Self {
        Self(.missing, "\(path): no question in it; give a file with at least one line")
    }

    /// A choice, counted from 0, can't be asked for.
    static func unusableChoice(
        path: String, line: Int, choice: Int, _ fault: ContinuationEncoder.Fault
    ) -> Self {
        let place = "\(path), line \(line): choice \(choice)"
        return switch fault {
        case .noContext:
            Self(
                .unsupported,
                """
                \(path), line \(line): the context is white space alone, and the tokenizer puts nothing before a text; \
                leave it empty and put the space into the choices
                """)
        case .noStart:
            Self(
                .unsupported,
                "\(path), line \(line): there is no context, and the model has no token that begins or ends a text"
            )
        case .noContinuation:
            Self(
                .unsupported,
                """
                \(place) has no token of its own behind the context; it must add something that the tokenizer does \
                not leave out
                """)
        case .tooLong(let count):
            Self(.unsupported, "\(place) has \(count) tokens, and the model does not see as many")
        case .outOfRange(let token):
            Self(
                .inconsistent,
                "\(place): token \(token) has no row in the embedding; the tokenizer is another model's")
        case .failed(let error): error.within(place)
        }
    }
}
