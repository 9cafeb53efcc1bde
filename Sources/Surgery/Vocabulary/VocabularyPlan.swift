internal import Formats
internal import Models

/// A vocabulary as it will be: its files, its rows, and where old ids have gone.
struct VocabularyPlan {
    /// What each row is made of.
    private(set) var plan: RowPlan
    /// The files beside the weights.
    private(set) var auxiliaryFiles: [AuxiliaryFile]
    private let source: Checkpoint
    /// How many tokens there were and are.
    private(set) var tokens: (before: Int, after: Int)?
    /// How many new tokens can be reached, and how.
    private(set) var reached = (typed: 0, merged: 0)
    /// What there is to know of the result, a sentence each.
    private(set) var warnings: [String] = []
    /// The new id of each old token, -1 when it is gone; empty when no id changes.
    private var moved: [Int: Int] = [:]
    /// The ids of a new tokenizer's special tokens by what they are for, as `eos`.
    private var special: [String: Int] = [:]
    /// The ids that the configuration names, and the key that does.
    private let keys: [Int: String]
    /// The tokenizer as it was; nil where there is none.
    private let old: Tokenizer?

    /// Works out what a request makes of a model.
    init(_ request: VocabularyResize, of checkpoint: Checkpoint, rows: Int) throws(UserFacingError) {
        auxiliaryFiles = checkpoint.auxiliaryFiles
        plan = RowPlan(rows: (0..<rows).map { .old($0) }, height: rows)
        source = checkpoint
        keys = try checkpoint.tokenKeys(rows: rows)
        let files = try checkpoint.tokenizerFiles()
        if case .rows = request.change, files.isEmpty {
            old = nil
        } else {
            let tokenizer = try files.agreeingTokenizer()
            let needed = try files.neededRows(tokenizer)
            guard needed <= rows else {
                throw .beyondRows(path: checkpoint.path, tokens: needed, rows: rows)
            }
            old = tokenizer
        }
        let count = old.map { $0.largestID + 1 } ?? 0
        tokens = old.map { _ in (count, count) }
        switch request.change {
        case .extended(let extra):
            if let old { try extend(by: extra, files, old) }
            if request.dropsPadding { plan.rows.removeSubrange(max(tokens?.after ?? 0, namedRows)...) }
        case .replaced(let new, let keepsOld):
            if let old { try replace(by: new, keepsOld: keepsOld, old) }
        case .rows(let wanted):
            if request.input.needsText { throw .noTextForRows(method: request.input.rawValue) }
            if let output = request.output, output.needsText { throw .noTextForRows(method: output.rawValue) }
            try resize(to: wanted, files, tokens: count)
        }
        pad(to: (plan.rows.count + request.multiple - 1) / request.multiple * request.multiple)
    }

    /// How many rows there must be for every one that the configuration names.
    private var namedRows: Int { (keys.keys.filter { $0 < plan.height }.max() ?? -1) + 1 }

    // MARK: Rows alone

    private mutating func resize(
        to wanted: Int, _ files: TokenizerFiles, tokens: Int
    ) throws(UserFacingError) {
        if files.isEmpty, let (count, file) = try files.countWithoutMain() {
            guard wanted >= min(count, plan.height) else {
                throw .fewerRowsThanFile(path: source.path, asked: wanted, file: file, tokens: count)
            }
        }
        guard wanted >= max(min(tokens, plan.height), 1) else {
            throw .fewerRowsThanTokens(path: source.path, asked: wanted, tokens: tokens)
        }
        if wanted < namedRows, let key = keys[namedRows - 1] {
            throw .namedRow(path: source.path, key: key, id: namedRows - 1, asked: wanted)
        }
        if wanted < plan.height { plan.rows.removeSubrange(wanted...) }
        pad(to: wanted)
    }

    private mutating func pad(to count: Int) {
        while plan.rows.count < count { plan.rows.append(.padding) }
    }

    /// Puts a tokenizer's files in the place of those that are there.
    private mutating func setTokenizer(_ files: TokenizerFiles) {
        auxiliaryFiles = auxiliaryFiles.replacing(tokenizer: files)
    }

    // MARK: More tokens

    private mutating func extend(
        by extra: VocabularyExtension, _ files: TokenizerFiles, _ old: Tokenizer
    ) throws(UserFacingError) {
        // What the configuration names without the tokenizer's knowing it is no free row.
        let extra = extra.avoiding(Set(keys.keys.filter { $0 > old.largestID }))
        let extended = try files.extended(by: extra)
        let new = try extended.agreeingTokenizer()
        setTokenizer(extended)
        tokens?.after = new.largestID + 1
        for id in plan.height..<max(old.largestID + 1, plan.height) {
            plan.rows.append(.token(pieces(of: old.bytes(of: Int32(id)), in: old)))
        }
        let ids = extra.tokens.map(\.id) + extra.added.map(\.id)
        for id in extra.placeholders.map(\.id) {
            set(Int(id) < plan.height ? .old(Int(id)) : .padding, at: Int(id))
        }
        for id in ids { set(.token(pieces(of: new.bytes(of: id), in: old)), at: Int(id)) }
        for token in extra.placeholders {
            warnings.append(
                "\(keys[Int(token.id)] ?? "a key") is \(token.id), which the tokenizer has no token for; the row is kept, and the "
                    + "tokenizer calls it \(token.spelling)")
        }
        for name in files.notFollowing {
            warnings.append("\(name) can't be given the new tokens and stays behind")
        }
        try checkReach(of: ids, new)
    }

    private mutating func set(_ row: RowPlan.Row, at id: Int) {
        pad(to: id + 1)
        plan.rows[id] = row
    }

    private mutating func checkReach(of ids: [Int32], _ tokenizer: Tokenizer) throws(UserFacingError) {
        var unreachable: [(id: Int32, encoded: [Int32])] = []
        for id in ids {
            switch try tokenizer.reach(of: id) {
            case .typed: reached.typed += 1
            case .merged: reached.merged += 1
            case .not(let encoded): unreachable.append((id, encoded))
            }
        }
        guard let first = unreachable.first else { return }
        throw .unreachableTokens(
            count: unreachable.count, id: first.id, token: tokenizer.token(of: first.id) ?? "",
            encoded: first.encoded)
    }

    private func pieces(of bytes: [UInt8], in old: Tokenizer) -> [RowPlan.Piece] {
        RowPlan.pieces(old.pieces(of: bytes).map { ($0, old.bytes(of: $0)) })
    }

    // MARK: Another tokenizer

    private mutating func replace(
        by files: TokenizerFiles, keepsOld: Bool, _ old: Tokenizer
    ) throws(UserFacingError) {
        var files = files
        var new = try files.agreeingTokenizer()
        let gone = (0...Int32(max(old.largestID, 0))).filter { new.id(like: $0, of: old) == nil }
        if keepsOld, !gone.isEmpty {
            let first = Int32(new.largestID + 1)
            let kept = gone.enumerated().compactMap { index, id in
                old.token(of: id).map { VocabularyExtension.Token(id: first + Int32(index), spelling: $0) }
            }
            for name in files.notFollowing {
                warnings.append("\(name) can't be given the old tokens and stays behind")
            }
            files = try files.extended(by: VocabularyExtension(tokens: kept))
            new = try files.agreeingTokenizer()
        }
        setTokenizer(files)
        tokens?.after = new.largestID + 1
        plan.rows = []
        for id in 0...Int32(max(new.largestID, 0)) {
            if let source = old.id(like: id, of: new), Int(source) < plan.height {
                plan.rows.append(.old(Int(source)))
                moved[Int(source)] = Int(id)
            } else {
                plan.rows.append(.token(pieces(of: new.bytes(of: id), in: old)))
            }
        }
        for id in 0...max(old.largestID, 0) where moved[id] == nil {
            moved[id] = new.id(like: Int32(id), of: old).map(Int.init) ?? -1
        }
        try keepNamedRows(behind: old.largestID)
        special = try files.specialTokens(new)
        try moveGenerationIDs()
    }

    /// Has rows that the configuration names, but no token has, follow behind the new tokens.
    private mutating func keepNamedRows(behind last: Int) throws(UserFacingError) {
        let count = plan.rows.count
        for (id, key) in keys.sorted(by: { $0.key < $1.key }) where id > last {
            if id < plan.height {
                moved[id] = plan.rows.count
                plan.rows.append(.old(id))
            } else if id < count {
                throw .namedBehindRows(path: source.path, key: key, id: id)
            }
        }
    }

    /// Has generation_config.json follow.
    private mutating func moveGenerationIDs() throws(UserFacingError) {
        let name = "generation_config.json"
        guard let index = auxiliaryFiles.firstIndex(where: { $0.name == name }) else { return }
        let (bytes, json) = try auxiliaryFiles[index].json()
        var changes: [ConfigurationChange] = []
        let moved = try settings(json, changes: &changes)
        if !changes.isEmpty {
            auxiliaryFiles[index].content = .bytes(moved.serialized(laidOutLike: bytes))
        }
    }

    // MARK: What is told

    /// The tokens that both vocabularies have.
    var common: [DonorRows.Common] {
        let count = tokens?.after ?? 0
        return plan.rows.prefix(count).enumerated().compactMap { index, row in
            if case .old(let source) = row { .init(here: Int32(source), there: Int32(index)) } else { nil }
        }
    }

    /// How many rows are of which kind.
    var origins: RowOrigins {
        var origins = RowOrigins()
        var used = Set<Int>()
        let count = tokens?.after ?? plan.height
        for (index, row) in plan.rows.enumerated() {
            switch row {
            case .old(let source):
                used.insert(source)
                if index < count { origins.kept += 1 } else { origins.padding += 1 }
            case .token: origins.initialized += 1
            case .padding: origins.padding += 1
            }
        }
        origins.dropped = plan.height - used.count
        return origins
    }

    /// The rows that are not the source's.
    var newRanges: [Range<Int>] {
        var ranges: [Range<Int>] = []
        for (index, row) in plan.rows.enumerated() {
            if case .old = row { continue }
            if let last = ranges.last, last.upperBound == index {
                ranges[ranges.count - 1] = last.lowerBound..<index + 1
            } else {
                ranges.append(index..<index + 1)
            }
        }
        return ranges
    }

    // MARK: Settings

    /// Settings with the new size and the ids of tokens that have moved.
    ///
    /// - Throws: ``UserFacingError`` when a key's token is gone that the model can't be without.
    func settings(
        _ json: JSON, path: String = "", changes: inout [ConfigurationChange]
    ) throws(UserFacingError) -> JSON {
        guard var members = json.object else { return json }
        let languageModel = source.configuration?.languageModel ?? JSONObject()
        for (key, value) in members {
            var after: JSON = value
            if key == "vocab_size", value.int == plan.height {
                after = JSON(plan.rows.count)
            } else if TokenKey.isToken(key) {
                after = try moved(value, path + key)
            } else if let inner = value.object {
                if TokenKey.isOfOtherVocabulary(inner, rows: plan.height, languageModel: languageModel) {
                    continue
                }
                after = try settings(value, path: path + key + ".", changes: &changes)
                members[key] = after
                continue
            }
            if after != value {
                changes.append(ConfigurationChange(key: path + key, before: value, after: after))
                members[key] = after
            }
        }
        return .object(members)
    }

    /// What becomes of a key's ids; where their tokens are gone, the new tokenizer's of that role, if it has one.
    private func moved(_ value: JSON, _ path: String) throws(UserFacingError) -> JSON {
        let key = path.split(separator: ".").last.map(String.init) ?? path
        let after = moved(value)
        guard after.isNull || after.array?.isEmpty ?? false, !value.isNull, value.array?.isEmpty != true
        else {
            return after
        }
        if let id = special[TokenKey.role(of: key)] { return JSON(id) }
        guard TokenKey.isOptional(key) else {
            let id = value.int ?? value[0]?.int ?? 0
            throw .tokenGone(
                path: source.path, key: path, id: id, token: Int32(exactly: id).flatMap { old?.token(of: $0) }
            )
        }
        return after
    }

    private func moved(_ value: JSON) -> JSON {
        if let id = value.int, let new = moved[id] { return new < 0 ? .null : JSON(new) }
        if let list = value.array {
            let ids = list.map { moved($0) }
            // A word of several tokens is gone when one of them is.
            if list.contains(where: { $0.array != nil }) {
                return .array(zip(list, ids).filter { $0.array?.count == $1.array?.count }.map(\.1))
            }
            return .array(ids.filter { !$0.isNull })
        }
        return value
    }
}

extension Tokenizer {
    /// The token that stands for the same as another tokenizer's: by its spelling, else by its bytes.
    func id(like other: Int32, of tokenizer: Tokenizer) -> Int32? {
        tokenizer.token(of: other).flatMap { id(of: $0) }
    }
}
