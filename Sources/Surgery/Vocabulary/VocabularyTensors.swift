internal import Formats
internal import Models
internal import OrderedCollections

/// The tensors of a model that have a row for each token.
struct VocabularyTensors {
    /// What a tensor does.
    enum Role: Sendable {
        /// Its rows are what tokens become.
        case input
        /// Its rows, or numbers, make the logits.
        case output
    }

    /// The tensors by name.
    let tensors: [(name: String, role: Role)]
    /// How many rows they have.
    let rows: Int
    /// Whether one tensor serves both ends.
    let isTied: Bool

    /// What an embedding is called in one family or another.
    private static let inputs = Family.names(of: .embedding)
    /// What a head is called, and its bias.
    private static let outputs = Family.names(of: .head) { [$0.weight, $0.bias] }

    /// Finds the tensors.
    ///
    /// - Throws: ``UserFacingError`` when there are none, or they do not agree.
    init(of checkpoint: Checkpoint) throws(UserFacingError) {
        func ends(_ name: String, with suffixes: [String]) -> Bool {
            suffixes.contains { name == $0 || name.hasSuffix("." + $0) || name.hasSuffix("/" + $0) }
        }
        var found: [(name: String, role: Role)] = []
        for (name, tensor) in checkpoint.tensors where !tensor.shape.isEmpty {
            if name.contains("per_layer") && name.contains("embed") {
                throw .fixedVocabulary(
                    path: checkpoint.path, what: "embeddings of its own for each layer (\(name))")
            }
            if ends(name, with: Self.inputs) { found.append((name, .input)) }
            if ends(name, with: Self.outputs) { found.append((name, .output)) }
        }
        guard let first = found.first(where: { $0.role == .input }),
            let rows = checkpoint.tensors[first.name]?.shape.first
        else { throw .noEmbedding(path: checkpoint.path, names: Self.inputs) }
        for (name, _) in found {
            let height = checkpoint.tensors[name]?.shape.first
            guard height == rows else {
                throw .rowsDiffer(
                    path: checkpoint.path, tensor: name, rows: height ?? 0,
                    embedding: first.name, expected: rows)
            }
        }
        tensors = found
        self.rows = rows
        let settings = [
            checkpoint.configuration?.languageModel, checkpoint.configuration?.json.object,
        ].compactMap(\.self)
        let says = settings.lazy.compactMap { $0["tie_word_embeddings"]?.bool }.first
        let ownHead = try checkpoint.ownHead()
        isTied = !found.contains { $0.role == .output } || says == true && ownHead == nil
    }
}
