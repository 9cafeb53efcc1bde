internal import Formats
internal import Models
internal import OrderedCollections

extension Checkpoint {
    /// What does not fit together in configuration, tensors and tokenizer, a sentence each.
    func inconsistencies(layers: LayerNames.Group?, tokenizer: TokenizerSummary?) -> [String] {
        guard let configuration else { return [] }
        let dimensions = ConfiguredDimensions(configuration)
        // The numbers of a quantised tensor may be packed into integers, in a shape of their own.
        let isQuantized = quantization != nil
        var result: [String] = []
        for row in configuration.family?.checkedRows ?? [] {
            guard let expected = dimensions.sizes(of: row) else { continue }
            let wrong = tensors.filter {
                isMeant($0.key, by: row, layers: layers) && $0.value.shape != expected
                    && (!isQuantized || $0.value.type.isFloatingPoint)
            }
            guard let (name, tensor) = wrong.elements.first else { continue }
            let others = wrong.count > 1 ? ", and \(wrong.count - 1) others like it" : ""
            result.append(
                "tensor \(name) is \(tensor.shape)\(others), but config.json asks for \(expected) "
                    + "(\(row.dimensions.map { dimensions.explanation(of: $0) }.joined(separator: ", ")))")
        }
        return wrapperNames(configuration) + result + missingHead(configuration)
            + beyondVocabulary(tokenizer, dimensions)
    }

    /// What programs around a model have put into its tensors' names, and transformers does not take out.
    private func wrapperNames(_ configuration: Configuration) -> [String] {
        let wrappers = [
            ("_orig_mod.", "torch.compile"), ("_fsdp_wrapped_module.", "FSDP"),
            ("_checkpoint_wrapped_module.", "activation checkpointing"), ("base_model.model.", "peft"),
            ("module.", "DataParallel"),
        ]
        for (part, program) in wrappers {
            let named = tensors.keys.filter { name in
                name.hasPrefix(part) || part.hasPrefix("_") && name.contains("." + part)
            }
            // A module may be called module; what stands before every tensor is a wrapper.
            guard let first = named.first, part.hasPrefix("_") || named.count == tensors.count else {
                continue
            }
            return [
                "\(named.count) tensor names, such as \(first), have \(part) in them, which \(program) puts there and "
                    + "transformers does not know; save the model inside (unwrapped), or take it out of the names"
            ]
        }
        return []
    }

    private func isMeant(_ name: String, by row: TensorRow, layers: LayerNames.Group?) -> Bool {
        let suffix = row.name + row.weight
        if let (layer, rest) = layers?.names.parse(name) {
            return layer < layers?.count ?? 0 && rest == suffix
        }
        let family = configuration?.family
        guard family?.outerRows.contains(where: { $0.module == row.module }) ?? false else { return false }
        // The head may stand anywhere; all else stands where the layers do, and is not that of an image's tower.
        guard row.module != .head else { return name == suffix || name.hasSuffix("." + suffix) }
        let prefix = layers?.names.prefix ?? ""
        let end = family?.layers ?? ""
        return name == (prefix.hasSuffix(end) ? prefix.dropLast(end.count) + suffix : suffix)
    }

    /// A model that predicts tokens needs a head of its own when it does not share the embeddings.
    private func missingHead(_ configuration: Configuration) -> [String] {
        let settings = [configuration.languageModel, configuration.json.object ?? JSONObject()]
        let own = (configuration.family?.rows(.head).first).map { $0.name + $0.weight } ?? "lm_head.weight"
        let rows = ConfiguredDimensions(configuration).size(of: .vocabulary)
        // Quantised heads have other tensors than a weight.
        let hasHead = tensors.contains { name, tensor in
            guard let part = VocabularyEnd.part(named: name), part.end == .output else { return false }
            return part.isCertain || part.isPlain && tensor.shape.first == rows
        }
        guard settings.lazy.compactMap({ $0["tie_word_embeddings"]?.bool }).first == false,
            configuration.architectures.contains(where: { $0.hasSuffix("ForCausalLM") }), !hasHead
        else { return [] }
        return [
            "config.json says tie_word_embeddings is false, but there is no output head (\(own)) among the tensors"
        ]
    }

    private func beyondVocabulary(
        _ tokenizer: TokenizerSummary?, _ dimensions: ConfiguredDimensions
    ) -> [String] {
        guard let size = tokenizer?.neededRows, let rows = dimensions.size(of: .vocabulary), size > rows
        else {
            return []
        }
        return [
            "the tokenizer's largest id is \(size - 1), but the vocabulary has \(rows) rows (vocab_size), 0 to "
                + "\(rows - 1); tokenizer and model do not belong together"
        ]
    }
}

extension Family {
    /// The rows whose dimensions are told.
    fileprivate var checkedRows: [TensorRow] { (outerRows + layerRows).filter { !$0.dimensions.isEmpty } }
}

/// The dimensions that a configuration gives a model's tensors.
struct ConfiguredDimensions {
    private let settings: JSONObject
    private let ownHeadSize: Int?

    init(_ configuration: Configuration) {
        settings = configuration.languageModel
        ownHeadSize = configuration.family?.headSize
    }

    /// The dimensions of a tensor; nil when the configuration does not give one of them.
    func sizes(of row: TensorRow) -> [Int]? {
        let sizes = row.dimensions.compactMap { size(of: $0) }
        return sizes.count == row.dimensions.count ? sizes : nil
    }

    /// The size of a dimension; nil when the configuration does not give it.
    func size(of dimension: Dimension) -> Int? {
        switch dimension {
        case .vocabulary: first("vocab_size")
        case .hidden: hidden
        case .queries: product(heads, headDimension)
        case .keyValues: product(keyValueHeads, headDimension)
        case .queriesKeysValues:
            if let heads, let keyValueHeads { product(heads + 2 * keyValueHeads, headDimension) } else { nil }
        case .feedForward: feedForward
        case .fourfold: first("n_inner") ?? product(4, hidden)
        case .gateAndUp: product(2, feedForward)
        }
    }

    /// How a dimension follows from the configuration, for messages.
    func explanation(of dimension: Dimension) -> String {
        func text(_ number: Int?) -> String { number.map(String.init) ?? "?" }
        return switch dimension {
        case .vocabulary: "vocab_size \(text(first("vocab_size")))"
        case .hidden: "hidden size \(text(hidden))"
        case .queries: "\(text(heads)) heads of \(text(headDimension))"
        case .keyValues: "\(text(keyValueHeads)) key-value heads of \(text(headDimension))"
        case .queriesKeysValues:
            "\(text(heads)) heads and twice \(text(keyValueHeads)) key-value heads of \(text(headDimension))"
        case .feedForward, .fourfold: "feed-forward size \(text(size(of: dimension)))"
        case .gateAndUp: "twice the feed-forward size \(text(feedForward))"
        }
    }

    private var hidden: Int? { first("hidden_size", "n_embd", "d_model") }
    private var heads: Int? { first("num_attention_heads", "n_head", "n_heads") }
    private var keyValueHeads: Int? { first("num_key_value_heads") ?? heads }
    private var headDimension: Int? {
        if let size = first("head_dim") { return size }
        if let ownHeadSize { return ownHeadSize }
        guard let hidden, let heads, heads > 0, hidden.isMultiple(of: heads) else { return nil }
        return hidden / heads
    }
    private var feedForward: Int? { first("intermediate_size", "ffn_dim") }

    private func first(_ keys: String...) -> Int? {
        keys.lazy.compactMap { settings[$0]?.int }.first
    }

    private func product(_ left: Int?, _ right: Int?) -> Int? {
        guard let left, let right else { return nil }
        let (product, overflow) = left.multipliedReportingOverflow(by: right)
        return overflow ? nil : product
    }
}
