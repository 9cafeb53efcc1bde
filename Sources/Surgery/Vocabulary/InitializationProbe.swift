public import Formats

/// How new rows should begin: by a method, or by the one that does best when a probe trains each.
public enum InitializationChoice: Sendable, Equatable {
    /// By one method at each end.
    case method(InitializationPair)
    /// By the one of ``InitializationPair/tried(isTied:)`` that a probe finds best.
    case auto

    /// What people call the second.
    static let autoName = "auto"

    /// A choice by its name: `auto`, or that of a pair; nil for any other name.
    public init?(name: String) {
        if name == Self.autoName {
            self = .auto
        } else if let pair = InitializationPair(name: name) {
            self = .method(pair)
        } else {
            return nil
        }
    }

    /// What people call it.
    public var name: String {
        switch self {
        case .method(let pair): pair.name
        case .auto: Self.autoName
        }
    }

    /// All names.
    public static let allNames = [autoName] + InitializationPair.allNames
}

extension InitializationPair {
    /// The pairs that a probe tries, in the order in which the first of equals counts.
    ///
    /// - Parameter isTied: whether one row serves both ends, which then can't begin in two ways.
    /// - Returns: the pairs.
    static func tried(isTied: Bool) -> [InitializationPair] {
        let byCharacters = RowInitialization.subwordCharacters
        return isTied
            ? [
                .standard, InitializationPair(byCharacters.rawValue, byCharacters, byCharacters),
                .transformers,
            ]
            : [.standard, .bil, .eeve, .transformers]
    }
}

/// What tries ways in which new rows may begin.
///
/// A try trains, and surgery does not: who has both gives it to ``OperationContext/probe``.
public protocol InitializationProbe {
    /// Refuses a change for which nothing can be tried, before any work is done for it.
    ///
    /// - Throws: ``UserFacingError`` that says what to give.
    func check(_ change: VocabularyChange) throws(UserFacingError)

    /// Trains each candidate a little.
    ///
    /// - Parameters:
    ///   - candidates: what there is to choose from, at least one.
    ///   - change: what made them.
    ///   - context: who watches.
    /// - Returns: what each came to, in their order; nil in a dry run, which trains nothing.
    /// - Throws: ``UserFacingError`` when they can't be trained, or it was stopped.
    func table(
        of candidates: [InitializationCandidate], for change: VocabularyChange, _ context: OperationContext
    ) throws(UserFacingError) -> InitializationTable?
}

/// A way in which new rows may begin, and the model that it makes.
public struct InitializationCandidate: Sendable {
    /// How rows begin.
    public let pair: InitializationPair
    /// The model, not written yet.
    public let checkpoint: Checkpoint
    /// The ranges of its rows that are new.
    public let newRows: [Range<Int>]
}

/// What a probe has found.
public struct InitializationTable: Sendable, Equatable {
    /// What one way came to.
    public struct Row: Sendable, Equatable {
        /// The pair's name.
        public let name: String
        /// Bits per byte of the text that was held back, before and after; not finite where the numbers grew too large.
        public let before: Double, after: Double

        /// A row.
        public init(name: String, before: Double, after: Double) {
            (self.name, self.before, self.after) = (name, before, after)
        }
    }

    /// The candidates, in the order in which they were tried; at least one.
    public let rows: [Row]
    /// Training steps of each, and the tokens that they have shown.
    public let steps: Int, tokens: Int
    /// Documents that were held back, their tokens, and the bytes of their text.
    public let documents: Int, heldBackTokens: Int, bytes: Int
    /// What the texts are called.
    public let texts: [String]

    /// A table.
    public init(
        rows: [Row], steps: Int, tokens: Int, documents: Int, heldBackTokens: Int, bytes: Int, texts: [String]
    ) {
        (self.rows, self.steps, self.tokens) = (rows, steps, tokens)
        (self.documents, self.heldBackTokens, self.bytes) = (documents, heldBackTokens, bytes)
        self.texts = texts
    }

    /// The row with the fewest bits per byte after the steps, of equals the first; nil where none is finite.
    public var best: Int? {
        rows.indices.filter { rows[$0].after.isFinite }.min { rows[$0].after < rows[$1].after }
    }
}

extension InitializationTable {
    /// For people, a line for each row.
    var lines: [Outcome.Line] {
        let shown = "bits per byte before and after \(steps) steps on \(texts.joined(separator: ", "))"
        return rows.enumerated().map { index, row in
            func text(_ number: Double) -> String {
                number.isFinite ? Units.fixed(number, digits: 4) : "not finite"
            }
            return Outcome.Line(
                label: index == 0 ? "tried" : "",
                text: "\(row.name): \(text(row.before)) → \(text(row.after))"
                    + (index == 0 ? " (\(shown))" : ""))
        }
    }

    /// For programs and the manifest; Documentation/surgery-resize-vocab.md describes the keys.
    var facts: JSON {
        func number(_ value: Double) -> JSON { value.isFinite ? JSON(value) : .null }
        return [
            "steps": JSON(steps), "tokens": JSON(tokens), "text": .array(texts.map { .string($0) }),
            "held_back": [
                "documents": JSON(documents), "tokens": JSON(heldBackTokens), "bytes": JSON(bytes),
            ],
            "methods": .array(
                rows.map {
                    [
                        "init": .string($0.name), "bits_per_byte_before": number($0.before),
                        "bits_per_byte_after": number($0.after),
                    ]
                }),
            "chosen": best.map { .string(rows[$0].name) } ?? .null,
        ]
    }
}
