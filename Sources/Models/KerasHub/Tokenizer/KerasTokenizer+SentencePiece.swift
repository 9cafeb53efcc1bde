internal import Formats
internal import Foundation

extension KerasTokenizer {
    /// A SentencePiece tokenizer's model, and what Hugging Face calls it.
    static let modelName = "vocabulary.spm", huggingFaceModelName = "tokenizer.model"

    /// A SentencePiece tokenizer in Hugging Face's terms.
    func pieces() throws(UserFacingError) -> ConvertedTokenizer {
        let bytes = try asset(Self.modelName)
        let model = try SentencePieceModel(bytes, file: Path.join(path, Self.folder + Self.modelName))
        try model.checkConvertible()
        var vocabulary = JSONObject()
        for (id, piece) in model.pieces.enumerated() { vocabulary[piece.text] = JSON(id) }
        let added = model.pieces.enumerated().compactMap { id, piece in
            [.unknown, .control, .userDefined].contains(piece.kind)
                ? AddedTokenEntry(id: id, content: piece.text, isSpecial: piece.kind != .userDefined) : nil
        }
        let merges = model.merges.map { JSON.array([.string($0.left), .string($0.right)]) }
        let unknown = model.pieces.first { $0.kind == .unknown }.map { JSON.string($0.text) }
        return files(
            added: added, normalizer: Self.normalizer(model.normalization), preTokenizer: .null,
            decoder: Self.decoder(hasPrefix: model.normalization.addsPrefix),
            model: [
                "type": "BPE", "dropout": .null, "unk_token": unknown ?? .null,
                "continuing_subword_prefix": .null, "end_of_word_suffix": .null, "fuse_unk": true,
                "byte_fallback": .bool(model.training.fallsBackToBytes), "ignore_merges": false,
                "vocab": .object(vocabulary),
                "merges": .array(merges),
            ], ids: { vocabulary[$0]?.int },
            more: [AuxiliaryFile(name: Self.huggingFaceModelName, content: .bytes(bytes))])
    }

    /// What SentencePiece does to a text before it is encoded: its map of characters, spaces at the ends and double ones,
    /// a space at the front, and marks in place of spaces.
    private static func normalizer(_ normalization: SentencePieceModel.Normalization) -> JSON {
        var steps: [JSON] = []
        if !normalization.map.isEmpty {
            let map = Data(normalization.map).base64EncodedString()
            steps.append(["type": "Precompiled", "precompiled_charsmap": .string(map)])
        }
        if normalization.removesExtraSpaces {
            steps.append(["type": "Strip", "strip_left": true, "strip_right": true])
            steps.append(["type": "Replace", "pattern": ["Regex": " {2,}"], "content": " "])
        }
        if normalization.addsPrefix { steps.append(["type": "Prepend", "prepend": "▁"]) }
        steps.append(["type": "Replace", "pattern": ["String": " "], "content": "▁"])
        return ["type": "Sequence", "normalizers": .array(steps)]
    }

    private static func decoder(hasPrefix: Bool) -> JSON {
        var steps: [JSON] = [
            ["type": "Replace", "pattern": ["String": "▁"], "content": " "], ["type": "ByteFallback"],
            ["type": "Fuse"],
        ]
        if hasPrefix { steps.append(["type": "Strip", "content": " ", "start": 1, "stop": 0]) }
        return ["type": "Sequence", "decoders": .array(steps)]
    }
}
