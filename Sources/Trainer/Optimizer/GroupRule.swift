public import Formats

/// What of a model is moved in a way of its own, and how: `new-rows: rate=2, decay=0`, `old-rows: freeze`.
///
/// What several rules select belongs to the first of them.
public struct GroupRule: Codable, Sendable, Equatable {
    /// What a rule selects.
    public enum Selector: Codable, Sendable, Equatable {
        /// Layers that the surgery has added: identity blocks; copies of others.
        case newLayers, copiedLayers
        /// The layers on either side of where the source's order of layers is broken.
        case seam
        /// Rows of embedding and head that the source does not have, of both or of one.
        case newRows, newInputRows, newOutputRows
        /// The other rows.
        case oldRows, oldInputRows, oldOutputRows
        /// The embedding of tokens and positions; the output head.
        case embeddings, head
        /// The scales of norms, and their biases.
        case norms
        /// Experts; what chooses them.
        case experts, router
        /// These layers, counted from 0, both ends included.
        case layers(from: Int, to: Int)
        /// Tensors whose names are like this, as a shell's pattern.
        case names(String)
        /// All that is left.
        case rest

        /// Whether it is about rows, and not whole tensors.
        var isOfRows: Bool {
            switch self {
            case .newRows, .newInputRows, .newOutputRows, .oldRows, .oldInputRows, .oldOutputRows: true
            default: false
            }
        }

        /// Whether only what a surgery has left behind tells what it selects.
        var needsSurgery: Bool { isOfRows || [.newLayers, .copiedLayers, .seam].contains(self) }
    }

    /// What it selects.
    public var selector: Selector
    /// The learning rate, as a share of the run's; nil for what it would be anyway.
    public var rate: Double?
    /// The weight decay; nil for what it would be anyway.
    public var decay: Double?
    /// Whether it is not trained at all.
    public var isFrozen = false

    private static let words: [(word: String, selector: Selector)] = [
        ("new-layers", .newLayers), ("copied-layers", .copiedLayers), ("seam", .seam),
        ("new-rows", .newRows), ("new-input-rows", .newInputRows), ("new-output-rows", .newOutputRows),
        ("old-rows", .oldRows), ("old-input-rows", .oldInputRows), ("old-output-rows", .oldOutputRows),
        ("embeddings", .embeddings), ("head", .head), ("norms", .norms), ("experts", .experts),
        ("router", .router), ("rest", .rest),
    ]

    /// What rules can begin with, for messages.
    static var selectors: [String] { words.map(\.word) + ["layers=FIRST-LAST", "names=PATTERN"] }

    /// Reads a rule.
    ///
    /// - Parameter text: a selector, a colon, and `freeze` or `rate=X` and `decay=X`.
    /// - Throws: ``UserFacingError`` that quotes what can't be read.
    public init(_ text: String) throws(UserFacingError) {
        let halves = text.split(separator: ":", maxSplits: 1).map { $0.trimmingSpaces }
        guard halves.count == 2 else {
            throw .badGroup(text, "it says nothing of them; add ': freeze', or ': rate=X, decay=X'")
        }
        selector = try Self.selector(halves[0], text)
        for word in halves[1].split(separator: ",").map(\.trimmingSpaces) {
            let parts = word.split(separator: "=", maxSplits: 1).map(\.trimmingSpaces)
            guard parts[0] != "rate" || rate == nil, parts[0] != "decay" || decay == nil else {
                throw .badGroup(text, "\(parts[0]) is there twice")
            }
            switch (parts[0], parts.count == 2 ? Double(parts[1]) : nil) {
            case ("freeze", nil) where parts.count == 1: isFrozen = true
            case ("rate", let value?) where (0...1_000).contains(value): rate = value
            case ("decay", let value?) where (0...10).contains(value): decay = value
            case ("rate", _): throw .badGroup(text, "rate is a share of the run's rate, from 0 to 1000")
            case ("decay", _): throw .badGroup(text, "decay is from 0 to 10")
            default: throw .badGroup(text, "there is no '\(word)'; there are freeze, rate=X and decay=X")
            }
        }
        guard !isFrozen || rate == nil && decay == nil else {
            throw .badGroup(text, "what is frozen has neither rate nor decay")
        }
    }

    private static func selector(_ word: String, _ text: String) throws(UserFacingError) -> Selector {
        if let known = words.first(where: { $0.word == word }) { return known.selector }
        let parts = word.split(separator: "=", maxSplits: 1).map(String.init)
        if parts.count == 2, parts[0] == "names" { return .names(parts[1]) }
        if parts.count == 2, parts[0] == "layers" {
            let ends = parts[1].split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
            if ends.count <= 2, let first = ends.first ?? nil, let last = ends.last ?? nil, 0 <= first,
                first <= last
            {
                return .layers(from: first, to: last)
            }
            throw .badGroup(text, "layers are as in layers=8-15, counted from 0")
        }
        throw .unknownWord(word, what: "group", known: selectors, at: "the group '\(text)'")
    }

    /// What new rows of a vocabulary are moved by where nothing else is said, as ``init(_:)`` reads it.
    ///
    /// They have everything to learn while the old rows around them have not: twice the layers' rate
    /// (`Documentation/healing-evidence.md`).
    static let newRowsText = "new-rows: rate=2"
    /// The same as a rule.
    static let newRows: GroupRule = {
        guard let rule = try? GroupRule(newRowsText) else { preconditionFailure("the text is a rule") }
        return rule
    }()

    /// The selector as it is typed.
    public var name: String {
        switch selector {
        case .layers(let first, let last): "layers=\(first)-\(last)"
        case .names(let pattern): "names=\(pattern)"
        default: Self.words.first { $0.selector == selector }?.word ?? ""
        }
    }
}

extension StringProtocol {
    fileprivate var trimmingSpaces: String {
        String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }
}

extension UserFacingError {
    /// A rule of a group that can't be read, or contradicts itself.
    static func badGroup(_ text: String, _ reason: String) -> Self {
        Self(.request, "the group '\(text)': \(reason)")
    }
}
