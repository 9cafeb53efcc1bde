internal import Formats
internal import Models

/// Which of a teacher's tokens each token of a model is: the one that is spelled alike.
struct SharedTokens: Sendable, Equatable {
    /// The teacher's token for each row of the model's embedding, negative where it has none: (V).
    let tokens: [Int32]
    /// How many of them it has.
    let count: Int

    /// The part of the smaller vocabulary that must be in the other for the two to read a text alike.
    private static let least = 0.9

    /// Compares two vocabularies.
    ///
    /// Rows behind both tokenizers, which only make an embedding a round size, are the same where they have the same
    /// number; so are all rows where neither model has a tokenizer.
    ///
    /// - Parameters:
    ///   - model: the model that learns.
    ///   - own: its tokenizer; nil where it has none.
    ///   - teacher: the teacher.
    ///   - its: that model's tokenizer.
    /// - Throws: ``UserFacingError`` when one alone has a tokenizer, or the two read a text as other tokens.
    init(
        of model: PretrainedModel, _ own: Tokenizer?, in teacher: PretrainedModel, _ its: Tokenizer?
    ) throws(UserFacingError) {
        let (rows, most) = (model.architecture.vocabularySize, teacher.architecture.vocabularySize)
        let (path, teacherPath) = (model.checkpoint.path, teacher.checkpoint.path)
        guard (own == nil) == (its == nil) else {
            throw .unknownTokens(has: own == nil ? teacherPath : path, lacks: own == nil ? path : teacherPath)
        }
        tokens = (0..<Int32(rows)).map { id in
            let found: Int32? =
                if let token = own?.token(of: id) {
                    its?.id(of: token)
                } else {
                    its?.token(of: id) == nil ? id : nil
                }
            return found.map { $0 < most ? $0 : -1 } ?? -1
        }
        count = tokens.count { $0 >= 0 }
        guard let own, let its else { return }
        let words = [own, its].map { tokenizer in
            (0...Int32(max(0, tokenizer.largestID))).count { tokenizer.token(of: $0) != nil }
        }
        let shared = tokens.indices.count { tokens[$0] >= 0 && own.token(of: Int32($0)) != nil }
        guard Double(shared) >= Self.least * Double(min(words[0], words[1])) else {
            throw .otherTokens(
                path: path, count: words[0], teacher: teacherPath, teacherCount: words[1], shared: shared)
        }
    }
}

extension UserFacingError {
    fileprivate static func unknownTokens(has: String, lacks: String) -> Self {
        Self(
            .missing,
            """
            \(has) has a tokenizer and \(lacks) none, so which of their tokens mean the same is not known; put the \
            tokenizer.json that belongs to the model into \(lacks)
            """)
    }

    fileprivate static func otherTokens(
        path: String, count: Int, teacher: String, teacherCount: Int, shared: Int
    ) -> Self {
        Self(
            .inconsistent,
            """
            the teacher \(teacher) has \(Units.grouped(shared)) of the \(Units.grouped(count)) tokens of \(path), and \
            \(Units.grouped(teacherCount)) itself: it reads texts as other tokens. A teacher needs the same tokenizer, or \
            one that the other was made of by surgery resize-vocab
            """)
    }
}
