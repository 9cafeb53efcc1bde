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
    /// The new id of each old token, -1 when it is gone; empty when no id changes.
    private var moved: [Int: Int] = [:]
    /// The ids of a new tokenizer's special tokens by what they are for, as `eos`.
    private var special: [String: Int] = [:]

    /// Works out what a request makes of a model.
    init(_ request: VocabularyResize, of checkpoint: Checkpoint, rows: Int) throws(UserFacingError) {
        auxiliaryFiles = checkpoint.auxiliaryFiles
        plan = RowPlan(rows: (0..<rows).map { .old($0) }, height: rows)
        source = checkpoint
        let files = try checkpoint.tokenizerFiles()
        var old: Tokenizer?
        if case .rows = request.change, files.isEmpty {} else { old = try files.tokenizer() }
        let count = old.map { $0.largestID + 1 } ?? 0
        guard count <= rows else { throw .beyondRows(path: checkpoint.path, tokens: count, rows: rows) }
        tokens = old.map { _ in (count, count) }
        switch request.change {
        case .extended(let extra):
            if let old { try extend(by: extra, files, old) }
            if request.dropsPadding { plan.rows.removeSubrange((tokens?.after ?? 0)...) }
        case .replaced(let new, let keepsOld):
            if let old { try replace(by: new, keepsOld: keepsOld, files, old) }
        case .rows(let wanted):
            if request.input.needsText { throw .noTextForRows(method: request.input.rawValue) }
            if let output = request.output, output.needsText { throw .noTextForRows(method: output.rawValue) }
            guard wanted >= max(count, 1) else {
                throw .fewerRowsThanTokens(path: checkpoint.path, asked: wanted, tokens: count)
            }
            if wanted < rows { plan.rows.removeSubrange(wanted...) }
            pad(to: wanted)
        }
        pad(to: (plan.rows.count + request.multiple - 1) / request.multiple * request.multiple)
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
        let extended = try files.extended(by: extra)
        let new = try extended.tokenizer()
        setTokenizer(extended)
        tokens?.after = new.largestID + 1
        let ids = extra.tokens.map(\.id) + extra.added.map(\.id)
        for id in ids {
            let row = RowPlan.Row.token(pieces(of: new.bytes(of: id), in: old))
            if Int(id) < plan.rows.count { plan.rows[Int(id)] = row } else { plan.rows.append(row) }
        }
        try checkReach(of: ids, new)
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
        old.pieces(of: bytes).map { RowPlan.Piece(id: $0, bytes: max(old.bytes(of: $0).count, 1)) }
    }

    // MARK: Another tokenizer

    private mutating func replace(
        by files: TokenizerFiles, keepsOld: Bool, _ oldFiles: TokenizerFiles, _ old: Tokenizer
    ) throws(UserFacingError) {
        var files = files
        var new = try files.tokenizer()
        let gone = (0...Int32(max(old.largestID, 0))).filter { new.id(like: $0, of: old) == nil }
        if keepsOld, !gone.isEmpty {
            let first = Int32(new.largestID + 1)
            let kept = gone.enumerated().compactMap { index, id in
                old.token(of: id).map { VocabularyExtension.Token(id: first + Int32(index), spelling: $0) }
            }
            files = try files.extended(by: VocabularyExtension(tokens: kept))
            new = try files.tokenizer()
        }
        setTokenizer(files)
        tokens?.after = new.largestID + 1
        plan.rows = []
        for id in 0...Int32(max(new.largestID, 0)) {
            if let source = old.id(like: id, of: new) {
                plan.rows.append(.old(Int(source)))
                moved[Int(source)] = Int(id)
            } else {
                plan.rows.append(.token(pieces(of: new.bytes(of: id), in: old)))
            }
        }
        for id in 0...max(old.largestID, 0) where moved[id] == nil { moved[id] = -1 }
        special = try files.specialTokens(new)
        try moveGenerationIDs()
    }

    /// Has generation_config.json follow.
    private mutating func moveGenerationIDs() throws(UserFacingError) {
        let name = "generation_config.json"
        guard let index = auxiliaryFiles.firstIndex(where: { $0.name == name }) else { return }
        let (bytes, json) = try auxiliaryFiles[index].json()
        var changes: [ConfigurationChange] = []
        let moved = settings(json, path: "", size: plan.rows.count, changes: &changes)
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
    func settings(_ json: JSON, path: String, size: Int, changes: inout [ConfigurationChange]) -> JSON {
        guard var members = json.object else { return json }
        for (key, value) in members {
            var after: JSON = value
            if key == "vocab_size", value.int == plan.height {
                after = JSON(size)
            } else if key.hasSuffix("_token_id") || key.hasSuffix("_token_ids") {
                after = moved(value)
                let role = String(key.prefix { $0 != "_" })
                if after.isNull || after.array?.isEmpty ?? false, !value.isNull, let id = special[role] {
                    after = JSON(id)
                }
            } else if value.object != nil {
                after = settings(value, path: path + key + ".", size: size, changes: &changes)
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

    private func moved(_ value: JSON) -> JSON {
        if let id = value.int, let new = moved[id] { return new < 0 ? .null : JSON(new) }
        if let list = value.array { return .array(list.map { moved($0) }.filter { !$0.isNull }) }
        return value
    }
}

extension Tokenizer {
    /// The token that stands for the same as another tokenizer's: by its spelling, else by its bytes.
    func id(like other: Int32, of tokenizer: Tokenizer) -> Int32? {
        tokenizer.token(of: other).flatMap { id(of: $0) }
    }
}
