/// Tokens that a tokenizer gets in addition to its own.
public struct VocabularyExtension: Sendable, Equatable {
    /// A token of the model's vocabulary.
    public struct Token: Sendable, Equatable {
        /// Its id.
        public let id: Int32
        /// How it is spelled in tokenizer.json.
        public let spelling: String

        /// A token of this id and spelling.
        public init(id: Int32, spelling: String) {
            self.id = id
            self.spelling = spelling
        }
    }

    /// A merge of two spellings.
    public struct Merge: Sendable, Equatable {
        /// The spelling on the left.
        public let left: String
        /// The spelling on the right.
        public let right: String

        /// A merge of these two.
        public init(left: String, right: String) {
            self.left = left
            self.right = right
        }
    }

    /// A token that is found in a text before everything else.
    public struct AddedToken: Sendable, Equatable {
        /// Its id.
        public let id: Int32
        /// The text that stands for it.
        public let content: String
        /// Whether it is special, so that decoding may leave it out.
        public let isSpecial: Bool

        /// An added token.
        public init(id: Int32, content: String, isSpecial: Bool) {
            self.id = id
            self.content = content
            self.isSpecial = isSpecial
        }
    }

    /// The model's tokens, their ids going on from the largest there was.
    public var tokens: [Token]
    /// Merges that come after the existing ones.
    public var merges: [Merge]
    /// Added tokens, whose ids go on from those of `tokens`.
    public var added: [AddedToken]
    /// Names for ids that something else than a token has taken, so that no id is missing; no text becomes one of them.
    public private(set) var placeholders: [Token] = []

    /// These tokens, merges and added tokens.
    public init(tokens: [Token] = [], merges: [Merge] = [], added: [AddedToken] = []) {
        self.tokens = tokens
        self.merges = merges
        self.added = added
    }

    /// The same without ids that are taken: each token gets the next free one instead.
    ///
    /// An id below the last that is passed over gets a placeholder, since tokenizers have no gaps.
    public func avoiding(_ taken: Set<Int>) -> VocabularyExtension {
        var result = VocabularyExtension(merges: merges)
        guard var next = (tokens.map(\.id) + added.map(\.id)).min() else { return self }
        func free() -> Int32 {
            while taken.contains(Int(next)) {
                result.placeholders.append(Token(id: next, spelling: "<|row_\(next)|>"))
                next += 1
            }
            defer { next += 1 }
            return next
        }
        for token in tokens { result.tokens.append(Token(id: free(), spelling: token.spelling)) }
        for token in added {
            result.added.append(AddedToken(id: free(), content: token.content, isSpecial: token.isSpecial))
        }
        return result
    }

    /// What was learned, for the tokenizer that learned it.
    public init(_ learned: LearnedTokens, for tokenizer: Tokenizer) {
        tokens = learned.tokens.map { Token(id: $0.id, spelling: $0.spelling) }
        let old = tokenizer.vocabulary.count
        func spelling(_ id: Int32) -> String {
            Int(id) < old ? tokenizer.vocabulary.tokens[Int(id)] : learned.tokens[Int(id) - old].spelling
        }
        merges = learned.merges.map { Merge(left: spelling($0.left), right: spelling($0.right)) }
        added = []
    }
}

// Why a tokenizer's files can't be changed.
extension UserFacingError {
    /// There is no tokenizer.json; `besides` are files that say the same in other terms.
    package static func noTokenizer(path: String, besides: [String] = []) -> Self {
        let advice =
            besides.isEmpty
            ? ""
            : "; of \(besides.joined(separator: ", ")) transformers makes one: load the folder with "
                + "AutoTokenizer.from_pretrained and save it with save_pretrained"
        return Self(
            .missing,
            "\(path) has no tokenizer.json, which is where its tokens are described\(advice)")
    }

    /// Two files of a tokenizer mean different tokens by an id.
    package static func disagreement(path: String, _ sentence: String) -> Self {
        Self(
            .inconsistent,
            "\(path): \(sentence); make the files say the same, as by loading them with AutoTokenizer and saving them"
        )
    }

    /// A file is not what it should be.
    package static func malformed(file: String, found: String, expected: String) -> Self {
        Self(
            .malformed,
            "\(file) has \(found), expected \(expected)")
    }

    /// A preset of KerasHub has a tokenizer of a class that is not known.
    package static func unknownKerasTokenizer(file: String, name: String) -> Self {
        Self(
            .unsupported,
            "\(file) is a \(name) of KerasHub, which has no counterpart here; the tokenizers of GPT-2, GPT-NeoX, BLOOM, "
                + "Qwen, Llama, Mistral, Gemma and Phi-3 have")
    }

    /// A tokenizer has no form that KerasHub could read.
    package static func noKerasForm(path: String, reason: String) -> Self {
        Self(
            .unsupported,
            "the tokenizer of \(path) can't be written for KerasHub: \(reason)")
    }

    /// New tokens can't be reached by encoding a text.
    package static func unreachableTokens(count: Int, id: Int32, token: String, encoded: [Int32]) -> Self {
        Self(
            .unsupported,
            "\(count) of the new tokens can't be reached: \"\(token)\" (id \(id)), typed alone, is encoded as "
                + "\(encoded); leave it out, or add it as an added token")
    }
}
