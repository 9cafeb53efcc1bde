public import Formats
internal import Models

/// A text that a model goes on with.
public struct GenerationPrompt: Sendable, Equatable {
    /// The text; where it has no token, the model's start token stands for it.
    public var text: String
    /// How many characters (Unicode scalars) of text are enough; nil for no such end.
    ///
    /// The last token may bring more.
    public var characters: Int?

    /// A prompt.
    public init(_ text: String, characters: Int? = nil) {
        self.text = text
        self.characters = characters
    }
}

/// What a model made of a prompt.
public struct Continuation: Sendable, Equatable {
    /// Why it ended.
    public enum Stop: String, Sendable {
        /// The model ended the text.
        case endOfText = "end_of_text"
        /// As many tokens as asked for.
        case tokens = "max_tokens"
        /// As many characters as asked for.
        case characters
        /// The model was made for no longer sequence.
        case length
    }

    /// The tokens of the prompt.
    public var promptTokens: [Int32]
    /// The tokens that follow, that which ended the text included.
    public var tokens: [Int32] = []
    /// The text that follows, without control tokens.
    public var text = ""
    /// Why it ended.
    public var stop = Stop.tokens
}

/// What the generation of texts took.
public struct GenerationTime: Sendable, Equatable {
    /// Seconds, and tokens of prompts, that passes over prompts took.
    public var promptSeconds = 0.0, promptTokens = 0
    /// Seconds, and tokens, that steps of a token a sequence took.
    public var seconds = 0.0, tokens = 0

    /// Tokens a second, the first of each prompt, which its own pass makes, left out; nil when there were none.
    public var tokensPerSecond: Double? { seconds > 0 ? Double(tokens) / seconds : nil }
    /// Tokens of prompts a second.
    public var promptTokensPerSecond: Double? {
        promptSeconds > 0 ? Double(promptTokens) / promptSeconds : nil
    }
}

/// Goes on with texts: opened once, it takes any number of lists of prompts.
///
///     let generator = try Generator(PretrainedModel.open("my-model"), threads: 4)
///     let texts = try generator.generate([GenerationPrompt("The capital of France is", characters: 20)])
///
/// Weights are kept in memory as the checkpoint has them, and multiplied so. Prompts are computed up to 16 at once; what
/// is made of one is the same beside any others.
public final class Generator {
    /// The tokens of a text that may be generated where nobody says how many.
    public static let usualTokens = 256
    /// How many sequences go on at once: as many rows as are multiplied while weights are read once.
    private static let sequencesAtOnce = 16

    /// What there is to know of the model, a sentence each.
    public let notes: [String]
    /// What all calls took so far.
    public private(set) var time = GenerationTime()
    private let model: PretrainedModel
    private let tokenizer: Tokenizer
    private let start: Int32?
    private let ends: Set<Int32>
    private let transformer: CachedTransformer<DefaultEngine>

    /// Opens a model, and reads its weights.
    ///
    /// - Parameters:
    ///   - model: any that the trainer computes, with its tokenizer.
    ///   - threads: how many threads compute.
    ///   - isPlain: whether control tokens that a prompt spells out are encoded as text.
    ///   - isCancelled: asked before each tensor; true stops.
    /// - Throws: ``UserFacingError`` that names the file, key or tensor.
    public init(
        _ model: PretrainedModel, threads: Int, isPlain: Bool = false, isCancelled: () -> Bool = { false }
    ) throws {
        self.model = model
        notes = model.notes
        let tokenizer = try model.tokenizer().reading(TextOptions(isPlain: isPlain))
        self.tokenizer = tokenizer
        start = try model.documentLayout(tokenizer, endOfText: .ofModel).layout.start
        ends = try DocumentLayout.ends(in: model.checkpoint, tokenizer: tokenizer)
        transformer = try CachedTransformer(
            model.architecture, layout: model.layout(training: .none), sequences: 1, length: 1,
            on: DefaultEngine(threads: threads))
        try model.load(into: transformer.model, isCancelled: isCancelled)
    }

    /// The longest sequence that is computed: what the model was made for, or what a rotary embedding grows to.
    private var longest: Int {
        let grown = model.architecture.layers.compactMap { $0.attention.rotary?.grownLength }
        return max(model.architecture.maximumLength, grown.max().map { Int($0) } ?? 0)
    }

    /// Goes on with prompts.
    ///
    /// - Parameters:
    ///   - prompts: texts; they may be of any lengths.
    ///   - sampling: how tokens are chosen; the most likely ones unless more is said.
    ///   - maximumTokens: how many tokens a text gets at most; nil for ``usualTokens``, or as many as may be needed for a
    ///     prompt's characters.
    ///   - isCancelled: asked after each token; true stops, and an error is thrown.
    ///   - notify: is given the number of a prompt and more of its text, as soon as it is known.
    /// - Returns: what follows each prompt, in their order.
    /// - Throws: ``UserFacingError`` when a prompt has no token or too many, or the model's logits are no numbers.
    public func generate(
        _ prompts: [GenerationPrompt], sampling: Sampling = Sampling(), maximumTokens: Int? = nil,
        isCancelled: () -> Bool = { false }, notify: (_ prompt: Int, _ text: String) -> Void = { _, _ in }
    ) throws(UserFacingError) -> [Continuation] {
        var writings: [Writing] = []
        for (number, prompt) in prompts.enumerated() {
            writings.append(try begin(prompt, number, sampling, maximumTokens))
        }
        try transformer.makeRoom(
            sequences: min(prompts.count, Self.sequencesAtOnce),
            length: writings.reduce(1) { max($0, $1.length) })
        var results = writings.map(\.continuation)
        var next = 0
        try carryOut(
            beginning: {
                while next < writings.count, writings[next].isDone { next += 1 }
                guard next < writings.count else { return nil }
                next += 1
                return (next - 1, writings[next - 1])
            },
            ends: ends, isCancelled: isCancelled, notify: notify
        ) { number, continuation in
            results[number] = continuation
            return true
        }
        return results
    }

    /// Writes texts from beginnings of any number, one after the other, until nobody wants more.
    ///
    /// A text depends on its beginning, its number and `sampling`, and not on what is written beside it: it has the same
    /// tokens in whatever order texts are begun. Memory does not grow with their number.
    ///
    /// The start token ends a text, too: a model that was trained on texts laid end to end begins the next one with it.
    ///
    /// - Parameters:
    ///   - first: the number of the first text.
    ///   - length: the tokens of a text at most, those of its beginning and of its end included.
    ///   - sampling: how tokens are chosen.
    ///   - isCancelled: asked after each token; true stops, and an error is thrown.
    ///   - beginning: the tokens that a text of that number begins with: one or more, and fewer than `length`.
    ///   - wants: is given each text by its number, in order, without ``Continuation/text``; returns whether there shall be
    ///     more.
    /// - Throws: ``UserFacingError`` when the model sees no sequence of that length, its logits are no numbers, or it was
    ///   stopped.
    func write(
        from first: Int, length: Int, sampling: Sampling, isCancelled: () -> Bool = { false },
        beginning: (Int) throws(UserFacingError) -> [Int32],
        wants: (Int, Continuation) throws(UserFacingError) -> Bool
    ) throws(UserFacingError) {
        guard length <= longest else {
            throw .sequenceTooLong(path: model.checkpoint.path, length: length, maximum: longest)
        }
        try transformer.makeRoom(sequences: Self.sequencesAtOnce, length: length)
        // What is done waits for what was begun before it; not too much of it.
        var (next, given) = (first, first)
        var done: [Int: Continuation] = [:]
        try carryOut(
            beginning: { () throws(UserFacingError) in
                guard next < given + Self.mostWaiting else { return nil }
                let tokens = try beginning(next)
                let writing = Writing(
                    Continuation(promptTokens: tokens), TokenSampler(sampling, sequence: next),
                    most: length - tokens.count, atMost: .tokens)
                next += 1
                return (next - 1, writing)
            },
            ends: start.map { ends.union([$0]) } ?? ends, isCancelled: isCancelled
        ) { number, continuation throws(UserFacingError) in
            done[number] = continuation
            while let text = done.removeValue(forKey: given) {
                guard try wants(given, text) else { return false }
                given += 1
            }
            return true
        }
    }

    /// How many texts, begun behind one that is not done, may wait for it.
    private static let mostWaiting = 256

    /// Carries out writings side by side, each from when there is room for it.
    ///
    /// - Parameters:
    ///   - beginning: gives the next one with its number; nil as long as there is none.
    ///   - ends: the tokens that end one.
    ///   - isCancelled: asked after each token; true stops, and an error is thrown.
    ///   - notify: is given a number and more of its text, as soon as it is known.
    ///   - ended: is given each when it is done; false ends all.
    /// - Throws: ``UserFacingError`` when the model's logits are no numbers or it was stopped, and what the others throw.
    private func carryOut(
        beginning: () throws(UserFacingError) -> (number: Int, writing: Writing)?,
        ends: Set<Int32>, isCancelled: () -> Bool,
        notify: (Int, String) -> Void = { _, _ in },
        ended: (Int, Continuation) throws(UserFacingError) -> Bool
    ) throws(UserFacingError) {
        var active: [(sequence: Int, number: Int, writing: Writing)] = []
        var free = Array((0..<transformer.sequences).reversed())
        while true {
            if isCancelled() { throw .interrupted }
            let start = ContinuousClock.now
            let going: [(sequence: Int, number: Int, writing: Writing)]
            let logits: [[Float]]
            var isStep = false
            if !free.isEmpty, let (number, writing) = try beginning() {
                let tokens = writing.continuation.promptTokens
                going = [(free.removeLast(), number, writing)]
                logits = [try transformer.begin(going[0].sequence, with: tokens)]
                time.promptTokens += tokens.count
            } else {
                guard !active.isEmpty else { return }
                going = active
                active = []
                logits = try transformer.step(going.map { ($0.sequence, $0.writing.last) })
                isStep = true
                time.tokens += going.count
            }
            for (place, logits) in zip(going, logits) {
                var place = place
                let piece = try place.writing.append(logits, ends: ends)
                if !piece.isEmpty { notify(place.number, piece) }
                if !place.writing.isDone {
                    active.append(place)
                } else {
                    free.append(place.sequence)
                    guard try ended(place.number, place.writing.continuation) else { return }
                }
            }
            let seconds = (ContinuousClock.now - start) / .seconds(1)
            if isStep { time.seconds += seconds } else { time.promptSeconds += seconds }
        }
    }

    /// A prompt's tokens, and how far it may go.
    private func begin(
        _ prompt: GenerationPrompt, _ number: Int, _ sampling: Sampling, _ maximumTokens: Int?
    ) throws(UserFacingError) -> Writing {
        var tokens = try tokenizer.encodePrompt(prompt.text)
        if tokens.isEmpty, let start { tokens = [start] }
        let path = model.checkpoint.path
        guard !tokens.isEmpty else { throw .emptyPrompt(path: path, number: number + 1) }
        let rows = model.architecture.vocabularySize
        if let bad = tokens.first(where: { $0 < 0 || Int($0) >= rows }) {
            throw .tokenOutOfRange(path: "prompt \(number + 1)", token: Int(bad), vocabularySize: rows)
        }
        guard tokens.count < longest else {
            throw .promptTooLong(path: path, number: number + 1, tokens: tokens.count, longest: longest)
        }
        // A character is four tokens at most, those that are control tokens apart.
        let enough = maximumTokens ?? prompt.characters.map { 4 * $0 + 16 } ?? Self.usualTokens
        return Writing(
            Continuation(promptTokens: tokens), TokenSampler(sampling, sequence: number),
            most: min(enough, longest - tokens.count),
            atMost: enough > longest - tokens.count ? .length : .tokens,
            stream: TextStream(tokenizer, after: tokens), characters: prompt.characters)
    }
}

/// A text on its way.
private struct Writing {
    private(set) var continuation: Continuation
    private(set) var isDone: Bool
    /// The text as it comes; nil where nobody asks for it.
    private var stream: TextStream?
    private var sampler: TokenSampler
    private let characters: Int?
    /// How many tokens there may be, and why no more.
    private let most: Int
    private let atMost: Continuation.Stop

    init(
        _ continuation: Continuation, _ sampler: TokenSampler, most: Int, atMost: Continuation.Stop,
        stream: TextStream? = nil, characters: Int? = nil
    ) {
        (self.continuation, self.stream, self.sampler) = (continuation, stream, sampler)
        (self.most, self.atMost, self.characters) = (most, atMost, characters)
        isDone = most < 1 || characters.map { $0 < 1 } ?? false
        if isDone { self.continuation.stop = most < 1 ? atMost : .characters }
    }

    /// How many tokens it may have, the prompt's included.
    var length: Int { continuation.promptTokens.count + most }
    /// The token that was chosen last.
    var last: Int32 { continuation.tokens.last ?? 0 }

    /// Chooses a token; returns the text that is known now.
    mutating func append(_ logits: [Float], ends: Set<Int32>) throws(UserFacingError) -> String {
        guard let token = sampler.choose(logits) else { throw .logitsNotFinite }
        continuation.tokens.append(token)
        if ends.contains(token) { return finish(.endOfText) }
        let piece = stream?.append(token) ?? ""
        if let characters, let stream, stream.text.unicodeScalars.count >= characters {
            return piece + finish(.characters)
        }
        return continuation.tokens.count < most ? piece : piece + finish(atMost)
    }

    private mutating func finish(_ stop: Continuation.Stop) -> String {
        let rest = stream?.finish() ?? ""
        (continuation.stop, continuation.text, isDone) = (stop, stream?.text ?? "", true)
        return rest
    }
}

// Why nothing can be generated.
extension UserFacingError {
    /// A prompt has no token, and the model none to begin with.
    package static func emptyPrompt(path: String, number: Int) -> Self {
        Self(
            .request,
            """
            prompt \(number) has no token, and \(path) names no token that a text begins with; give it some text
            """)
    }

    /// A prompt leaves no room for what follows.
    package static func promptTooLong(path: String, number: Int, tokens: Int, longest: Int) -> Self {
        Self(
            .request,
            """
            prompt \(number) has \(tokens) tokens, and \(path) was made for sequences of \(longest) \
            (max_position_embeddings); take a shorter prompt
            """)
    }

    /// The model makes no numbers.
    package static var logitsNotFinite: Self {
        Self(
            .diverged,
            """
            the model's logits are no finite numbers, though all weights are; its numbers become too large on this text
            """)
    }
}
