/// All tokens of a tokenizer by id, those of the model and the added ones.
///
/// Ids are 0 to count − 1: each has one token, and each token one id. A text that is both in the model's
/// vocabulary and an added token has the same id in both.
struct Vocabulary: Sendable {
    /// The token of each id, as it is spelled in the file (byte-level tokens in their alphabet).
    private(set) var tokens: [String]
    private var table: ByteStringTable
    /// For each id, whether the model knows the token; the others are added tokens only.
    private var isInModel: [Bool]

    /// Reads the model's vocabulary and joins it with the added tokens.
    ///
    /// - Parameters:
    ///   - field: the object token → id.
    ///   - added: the added tokens.
    /// - Throws: ``TokenizerError`` for an id that is not a number, that two tokens have, or that none has.
    init(_ field: TokenizerField, added: [AddedToken]) throws(TokenizerError) {
        let model = try field.object()
        let newTokens = try Self.newTokens(of: added, notIn: model, field)
        let count = model.count + newTokens.count
        var slots = [String?](repeating: nil, count: count)
        isInModel = Array(repeating: false, count: count)
        var largest = -1
        func place(_ token: String, _ id: Int) throws(TokenizerError) {
            largest = max(largest, id)
            guard id < count else { return }  // there is a gap, which is told below
            if let other = slots[id] {
                throw .duplicateID(file: field.file, id: id, first: other, second: token)
            }
            slots[id] = token
        }
        for (token, id) in model {
            let id = Int(try TokenizerField(file: field.file, path: "\(field.path).\(token)", json: id).id())
            try place(token, id)
            if id < count { isInModel[id] = true }
        }
        for token in newTokens { try place(token.content, Int(token.id)) }
        tokens = []
        tokens.reserveCapacity(count)
        table = ByteStringTable(capacity: count)
        for (id, token) in slots.enumerated() {
            guard let token else {
                throw .gap(file: field.file, missing: id, largest: largest, tokens: count)
            }
            tokens.append(token)
            table.insert(token.utf8.span)
        }
    }

    /// The added tokens that the model doesn't have; those it has must have the same id.
    private static func newTokens(
        of added: [AddedToken], notIn model: JSONObject, _ field: TokenizerField
    ) throws(TokenizerError) -> [AddedToken] {
        var seen: [JSONKey: Int32] = [:]
        var newTokens: [AddedToken] = []
        for token in added {
            if let other = model[token.content]?.int ?? seen[JSONKey(token.content)].map(Int.init) {
                guard other == Int(token.id) else {
                    throw .addedTokenID(
                        file: field.file, token: token.content, id: Int(token.id), inVocabulary: other)
                }
            } else {
                seen[JSONKey(token.content)] = token.id
                newTokens.append(token)
            }
        }
        return newTokens
    }

    /// The number of tokens.
    var count: Int { tokens.count }

    /// The id of a token, of the model's or added.
    func id(of token: Span<UInt8>) -> Int32? { table.index(of: token).map { Int32($0) } }

    /// The id of a token that the model knows.
    func modelID(of token: Span<UInt8>) -> Int32? {
        guard let id = table.index(of: token), isInModel[id] else { return nil }
        return Int32(id)
    }

    /// The ids of the tokens that the model knows.
    var modelIDs: some Sequence<Int> { isInModel.indices.lazy.filter { isInModel[$0] } }
}
