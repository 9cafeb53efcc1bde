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
    ///   - field: the object token → id, or an array whose elements begin with a token; its id is its index.
    ///   - added: the added tokens.
    /// - Throws: ``UserFacingError`` for an id that is not a number, that two tokens have, or that none has,
    ///   and for a token that has two.
    init(_ field: TokenizerField, added: [AddedToken]) throws(UserFacingError) {
        let entries = try Self.entries(field)
        table = ByteStringTable(capacity: entries.count + added.count)
        for (index, entry) in entries.enumerated() where table.insert(entry.token.utf8.span) != index {
            let first = table.index(of: entry.token.utf8.span) ?? 0
            throw .duplicateToken(file: field.file, token: entry.token, first: first, second: index)
        }
        let newTokens = try Self.newTokens(of: added, entries, &table, field)
        (tokens, isInModel) = try Self.slots(entries, newTokens, field)
        // The table numbers strings in the order they came; mostly that is the order of ids.
        let isInOrder =
            entries.indices.allSatisfy { Int(entries[$0].id) == $0 }
            && newTokens.indices.allSatisfy { Int(newTokens[$0].id) == entries.count + $0 }
        if isInOrder { return }
        table = ByteStringTable(capacity: tokens.count)
        for token in tokens { table.insert(token.utf8.span) }
    }

    private static func entries(_ field: TokenizerField) throws(UserFacingError) -> [(
        token: String, id: Int32
    )] {
        var entries: [(token: String, id: Int32)] = []
        if let pieces = field.json?.array {
            entries.reserveCapacity(pieces.count)
            for (index, piece) in pieces.enumerated() {
                guard let token = piece[0]?.string else {
                    throw TokenizerField(file: field.file, path: "\(field.path)[\(index)]", json: piece)
                        .failure("a piece and its score")
                }
                entries.append((token, Int32(index)))
            }
            return entries
        }
        let members = try field.object()
        entries.reserveCapacity(members.count)
        for (token, id) in members {
            guard let value = id.int, let id = Int32(exactly: value), id >= 0 else {
                _ = try TokenizerField(file: field.file, path: "\(field.path).\(token)", json: id).id()
                continue
            }
            entries.append((token, id))
        }
        return entries
    }

    /// The added tokens that the model doesn't have, which are put into the table; those it has must have the
    /// same id.
    private static func newTokens(
        of added: [AddedToken], _ entries: [(token: String, id: Int32)], _ table: inout ByteStringTable,
        _ field: TokenizerField
    ) throws(UserFacingError) -> [AddedToken] {
        var newTokens: [AddedToken] = []
        for token in added {
            let index = table.insert(token.content.utf8.span)
            let isNew = index == entries.count + newTokens.count
            let other =
                index < entries.count
                ? entries[index].id : isNew ? token.id : newTokens[index - entries.count].id
            guard other == token.id else {
                throw .addedTokenID(
                    file: field.file, token: token.content, id: Int(token.id), inVocabulary: Int(other))
            }
            if isNew { newTokens.append(token) }
        }
        return newTokens
    }

    /// All tokens by id, and which of them the model knows.
    private static func slots(
        _ entries: [(token: String, id: Int32)], _ newTokens: [AddedToken], _ field: TokenizerField
    ) throws(UserFacingError) -> (tokens: [String], isInModel: [Bool]) {
        let count = entries.count + newTokens.count
        var slots = [String?](repeating: nil, count: count)
        var isInModel = [Bool](repeating: false, count: count)
        var largest = -1
        func place(_ token: String, _ id: Int, isInModel known: Bool) throws(UserFacingError) {
            largest = max(largest, id)
            guard id < count else { return }  // there is a gap, which is told below
            if let other = slots[id] {
                throw .duplicateID(file: field.file, id: id, first: other, second: token)
            }
            slots[id] = token
            isInModel[id] = known
        }
        for (token, id) in entries { try place(token, Int(id), isInModel: true) }
        for token in newTokens { try place(token.content, Int(token.id), isInModel: false) }
        if let missing = slots.firstIndex(where: { $0 == nil }) {
            throw .missingID(file: field.file, missing: missing, largest: largest, tokens: count)
        }
        return (slots.compactMap(\.self), isInModel)
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

    /// The tokens `<0x00>` … `<0xFF>` that stand for single bytes, -1 where the model has none.
    var byteTokens: [Int32] {
        (0...255).map { byte in
            let digits = String(byte, radix: 16, uppercase: true)
            let name = "<0x" + (digits.utf8.count < 2 ? "0" : "") + digits + ">"
            return modelID(of: name.utf8.span) ?? -1
        }
    }
}
