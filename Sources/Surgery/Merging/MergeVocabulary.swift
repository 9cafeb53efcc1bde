internal import Formats
internal import Models
internal import OrderedCollections

/// Whose tokens a merge's result has, and the rows that each model has for them.
struct MergeVocabulary {
    /// The base with the result's tokenizer and the configuration that goes with it.
    let base: Checkpoint
    /// What changed in the configuration.
    let changes: [ConfigurationChange]
    /// The rows; nil where each model has the result's.
    private let rows: Rows?

    /// For each token of the result where models have it.
    private struct Rows {
        /// Of each model, for each token, its row; -1 where it has none.
        let own: [[Int32]]
        /// How many rows each model has.
        let heights: [Int]
        /// How many rows without a token follow.
        let padding: Int
    }

    init(_ configuration: MergeConfiguration, _ models: [MergeModel]) throws(UserFacingError) {
        guard let choice = configuration.tokenizer else {
            try Self.checkAlike(models, configuration.file)
            (base, changes, rows) = (models[0].checkpoint, [], nil)
            return
        }
        let place = "\(configuration.file), line \(choice.line)"
        var (tokenizers, heights): ([Tokenizer], [Int]) = ([], [])
        for model in models {
            do {
                tokenizers.append(try model.checkpoint.tokenizerFiles().agreeingTokenizer())
                heights.append(try VocabularyTensors(of: model.checkpoint).rows)
            } catch { throw error.within(place) }
        }
        let change: VocabularyResize.Change
        switch choice.origin {
        case .base: change = .extended(VocabularyExtension())
        case .union: change = .extended(try Self.union(models, tokenizers, heights, at: place))
        case .model(let model):
            let index = models.firstIndex { $0.model == model } ?? 0
            change =
                Self.isSame(tokenizers[index], tokenizers[0], .max, .max)
                ? .extended(VocabularyExtension())
                : .replaced(by: try models[index].checkpoint.tokenizerFiles(), keepsOld: false)
        }
        let resized = try models[0].checkpoint.resized(
            VocabularyResize(change, multiple: choice.multiple, dropsPadding: true, input: .mean))
        base = resized.checkpoint
        changes = resized.changes
        let tokenizer = try base.tokenizerFiles().agreeingTokenizer()
        let count = min(tokenizer.largestID + 1, resized.rows.after)
        let tokens = (0..<Int32(count)).map { tokenizer.token(of: $0) }
        let own = zip(tokenizers, heights).map { tokenizer, height in
            tokens.map { token -> Int32 in
                guard let id = token.flatMap({ tokenizer.id(of: $0) }), Int(id) < height else { return -1 }
                return id
            }
        }
        rows = Rows(own: own, heights: heights, padding: resized.rows.after - count)
    }

    // MARK: Tokens

    /// Refuses models whose tokens differ.
    private static func checkAlike(_ models: [MergeModel], _ file: String) throws(UserFacingError) {
        let files = try models.map { (model) throws(UserFacingError) in try model.checkpoint.tokenizerFiles()
        }
        let main = try files[0].bytes("tokenizer.json")
        for (index, other) in files.enumerated().dropFirst() {
            if other.isEmpty || files[0].isEmpty {
                let (own, its) = (try files[0].bytes("tokenizer.model"), try other.bytes("tokenizer.model"))
                if own == nil || its == nil || own == its { continue }
            } else if try other.bytes("tokenizer.json") == main {
                continue
            } else if isSame(
                try files[0].tokenizer(), try other.tokenizer(), models[0].height, models[index].height)
            {
                continue
            }
            throw UserFacingError(
                .inconsistent,
                "\(file): \(models[index].name) has other tokens than \(models[0].name); tokenizer_source (base, union or a "
                    + "model) says whose the result has")
        }
    }

    /// Whether two models have the same tokens in all rows that there are.
    private static func isSame(_ one: Tokenizer, _ other: Tokenizer, _ height: Int, _ otherHeight: Int)
        -> Bool
    {
        (0...Int32(max(one.largestID, other.largestID, 0))).allSatisfy { id in
            let own = Int(id) < height ? one.token(of: id) : nil
            return own == (Int(id) < otherHeight ? other.token(of: id) : nil)
        }
    }

    /// The tokens that other models have and the base has not.
    private static func union(
        _ models: [MergeModel], _ tokenizers: [Tokenizer], _ heights: [Int], at place: String
    ) throws(UserFacingError) -> VocabularyExtension {
        var added: OrderedDictionary<String, Bool> = [:]
        for (index, tokenizer) in tokenizers.enumerated().dropFirst() {
            for id in 0..<Int32(min(tokenizer.largestID + 1, heights[index])) {
                guard let token = tokenizer.token(of: id), tokenizers[0].id(of: token) == nil else {
                    continue
                }
                guard let known = tokenizer.addedToken(id) else {
                    throw UserFacingError(
                        .unsupported,
                        "\(place): '\(token)' of \(models[index].name) is a token of its vocabulary that \(models[0].name) has "
                            + "not; a union of vocabularies would encode texts as neither model does. Name base or a model, or "
                            + "bring the vocabularies together by surgery resize-vocab first")
                }
                if added[known.text] == nil { added[known.text] = known.isSpecial }
            }
        }
        let first = Int32(tokenizers[0].largestID + 1)
        return VocabularyExtension(
            added: added.enumerated().map {
                .init(id: first + Int32($0.offset), content: $0.element.key, isSpecial: $0.element.value)
            })
    }

    // MARK: Rows

    /// A model's rows in the order of the result's tokens.
    ///
    /// A token that the model has not gets the base's row, else that of the one model that has it or the mean of several, else
    /// zeros; so does mergekit.
    ///
    /// - Parameters:
    ///   - index: which of the tensors.
    ///   - tensors: one tensor of several models, by the models' places.
    ///   - base: the place of the base among the models, if there is one.
    /// - Returns: the tensor with a row for each token, and the mean's rows behind them where rows are to be a multiple.
    /// - Throws: ``UserFacingError`` when rows can't be made.
    func aligned(
        _ index: Int, of tensors: [(model: Int, tensor: TensorExpression)], base: Int?
    ) throws(UserFacingError) -> TensorExpression {
        let (model, tensor) = tensors[index]
        guard let rows, tensor.shape.first == rows.heights[model] else { return tensor }
        let own = rows.own[model]
        var result: TensorExpression
        if own.allSatisfy({ $0 >= 0 }) {
            let isPrefix = own.indices.allSatisfy { own[$0] == Int32($0) }
            result = try isPrefix ? tensor.rows(0..<own.count) : tensor.derived(.gathered(own))
        } else {
            result = try filled(index, of: tensors, base: base, rows)
        }
        if rows.padding > 0 {
            let mean = try result.derived(.mean(of: 0..<own.count, count: rows.padding))
            result = try .joined([result, mean])
        }
        return result
    }

    /// The same where tokens are missing.
    private func filled(
        _ index: Int, of tensors: [(model: Int, tensor: TensorExpression)], base: Int?, _ rows: Rows
    ) throws(UserFacingError) -> TensorExpression {
        let type = tensors.dropFirst().reduce(tensors[0].tensor.type) { $0.promoted(with: $1.tensor.type) }
        var starts: [Int32] = []
        var parts: [TensorExpression] = []
        var height = 0
        for (_, tensor) in tensors {
            starts.append(Int32(height))
            parts.append(try tensor.cast(to: type))
            height += tensor.shape[0]
        }
        let width = tensors[index].tensor.shape.dropFirst()
        let zeros = Int32(height)
        parts.append(try .zeros(type, shape: [1] + width))
        height += 1
        let first = base.flatMap { base in tensors.firstIndex { $0.model == base } }
        var order: [Int32] = []
        /// The tokens that several models have, by which they are.
        var shared: OrderedDictionary<[Int], [Int]> = [:]
        for token in rows.own[tensors[index].model].indices {
            func row(_ place: Int) -> Int32 { rows.own[tensors[place].model][token] }
            let having = tensors.indices.filter { row($0) >= 0 }
            if let donor = row(index) >= 0 ? index : having.count == 1 ? having[0] : first, row(donor) >= 0 {
                order.append(starts[donor] + row(donor))
            } else {
                if having.count > 1 { shared[having, default: []].append(token) }
                order.append(zeros)
            }
        }
        for (having, tokens) in shared {
            var gathered: [TensorExpression] = []
            for place in having {
                gathered.append(
                    try tensors[place].tensor.derived(
                        .gathered(tokens.map { rows.own[tensors[place].model][$0] })))
            }
            let weights = [Float](repeating: 1 / Float(having.count), count: having.count)
            parts.append(try .weighted(gathered, by: weights, as: type))
            for (offset, token) in tokens.enumerated() { order[token] = Int32(height + offset) }
            height += tokens.count
        }
        return try .joined(parts).derived(.gathered(order))
    }
}

extension MergeModel {
    /// How many rows its embedding has.
    fileprivate var height: Int {
        others.first { VocabularyEnd.part(named: $0.key)?.end == .input }?.value.shape.first ?? .max
    }
}

// MARK: - Chat template

extension Checkpoint {
    /// The template of the result's chats, as a merge's configuration has it; nothing changes where it says nothing.
    mutating func setChatTemplate(
        of configuration: MergeConfiguration, _ models: [MergeModel]
    ) throws(UserFacingError) {
        guard let (text, line) = configuration.chatTemplate else { return }
        var template = text
        if text == "auto" {
            var counts: OrderedDictionary<String, Int> = [:]
            for model in models {
                guard let own = try model.checkpoint.chatTemplate else { continue }
                counts[own, default: 0] += 1
            }
            // Of templates that are as frequent the base's comes first.
            guard let most = counts.values.max(), let first = counts.first(where: { $0.value == most }) else {
                return
            }
            template = first.key
        } else if text.utf8.count < 20 || !text.contains("{") {
            let known = ["alpaca", "chatml", "exaone", "llama3", "mistral"]
            throw UserFacingError(
                known.contains(text) ? .unsupported : .malformed,
                "\(configuration.file), line \(line): "
                    + (known.contains(text)
                        ? "'\(text)' is a template that mergekit brings along and this program does not; write it out"
                        : "'\(text)' is no chat template; write one out, or auto for that of most models"))
        }
        auxiliaryFiles.removeAll { $0.name.hasPrefix("chat_template.") }
        if let index = auxiliaryFiles.firstIndex(where: { $0.name == "tokenizer_config.json" }) {
            var (bytes, json) = try auxiliaryFiles[index].json()
            json["chat_template"] = .string(template)
            bytes = json.serialized(laidOutLike: bytes)
            auxiliaryFiles[index].content = .bytes(bytes)
        } else {
            auxiliaryFiles.append(
                AuxiliaryFile(name: "chat_template.jinja", content: .bytes(Array(template.utf8))))
        }
    }

    /// The model's chat template, without white space around it; the one named default of several.
    private var chatTemplate: String? {
        get throws(UserFacingError) {
            func trimmed(_ text: String) -> String? {
                let inner = text.drop { $0.isWhitespace }.reversed().drop { $0.isWhitespace }.reversed()
                return inner.isEmpty ? nil : String(inner)
            }
            if let file = auxiliaryFiles.first(where: { $0.name == "chat_template.jinja" }) {
                return trimmed(String(decoding: try file.bytes(), as: UTF8.self))
            }
            guard let file = auxiliaryFiles.first(where: { $0.name == "tokenizer_config.json" }) else {
                return nil
            }
            let setting = try file.json().json["chat_template"]
            if let text = setting?.string { return trimmed(text) }
            let named = setting?.array?.first { $0["name"]?.string == "default" }
            return named?["template"]?.string.flatMap(trimmed)
        }
    }
}
