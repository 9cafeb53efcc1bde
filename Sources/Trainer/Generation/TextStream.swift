internal import Formats

/// The text of tokens as they come, each piece as soon as it is sure.
///
/// A token may be a part of a character, and a decoder may treat the first token in a way of its own. So tokens are
/// decoded behind those before them, and what ends in the middle of a character is held back.
struct TextStream {
    private let tokenizer: Tokenizer
    /// The tokens whose text is not sure yet, behind those whose text was given last.
    private var tokens: [Int32]
    /// How many of them are of text that was given.
    private var given: Int
    /// All text so far.
    private(set) var text = ""

    /// The text that goes on with a prompt's.
    init(_ tokenizer: Tokenizer, after prompt: [Int32]) {
        self.tokenizer = tokenizer
        tokens = prompt.suffix(16)
        given = tokens.count
    }

    /// Adds a token; returns the text that is sure now.
    mutating func append(_ token: Int32) -> String {
        tokens.append(token)
        let all = decoded(tokens)
        return all.hasSuffix("\u{FFFD}") ? "" : give(all)
    }

    /// Returns what was held back: nothing follows that could complete it.
    mutating func finish() -> String { give(decoded(tokens)) }

    private mutating func give(_ all: String) -> String {
        let before = decoded(Array(tokens[..<given]))
        let bytes = Array(all.utf8)
        guard bytes.count > before.utf8.count, bytes.starts(with: before.utf8) else { return "" }
        let piece = String(decoding: bytes[before.utf8.count...], as: UTF8.self)
        tokens.removeFirst(given)
        given = tokens.count
        text += piece
        return piece
    }

    private func decoded(_ tokens: [Int32]) -> String { tokenizer.decode(tokens, skipSpecialTokens: true) }
}
