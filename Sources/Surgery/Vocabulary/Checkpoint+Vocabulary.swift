public import Formats
internal import Models
internal import OrderedCollections

extension Checkpoint {
    /// The model with another vocabulary: embedding, output head and its bias, the tokenizer's files and the configuration,
    /// all in step.
    ///
    /// Old rows are copied as they are; new ones are made when they are written, of old ones alone.
    ///
    /// - Parameter request: what is to become of it.
    /// - Returns: the result, not written yet.
    /// - Throws: ``UserFacingError`` when model and tokenizer do not fit together, or what is asked for can't be.
    public func vocabularyResized(_ request: VocabularyResize) throws(UserFacingError) -> ResizedCheckpoint {
        var result = try resized(request)
        result.checkpoint.operations.append(
            Manifest.Operation(name: VocabularyChange.name, parameters: JSONObject(), facts: result.facts))
        return result
    }

    /// The same, with nothing said of it in the manifest.
    func resized(_ request: VocabularyResize) throws(UserFacingError) -> ResizedCheckpoint {
        guard request.multiple > 0 else { throw .badMultiple(request.multiple) }
        let found = try VocabularyTensors(of: self)
        if found.isTied, let output = request.output, output != request.input { throw .tiedHead(path: path) }
        let donor = try request.donorTensors
        let outcome = try VocabularyPlan(request, of: self, rows: found.rows)
        var result = self
        result.auxiliaryFiles = outcome.auxiliaryFiles
        let methods = (input: request.input, output: request.output ?? request.input)
        for (index, tensor) in found.tensors.enumerated() {
            guard let stored = tensors[tensor.name] else { continue }
            do {
                result.tensors[tensor.name] = try outcome.plan.tensor(
                    from: stored, tensor.role == .input || found.isTied ? methods.input : methods.output,
                    seed: request.seed &+ (found.isTied ? 0 : UInt64(index) << 32),
                    donor: donor?.rows(
                        for: tensor.role, common: outcome.common, threads: request.threads))
            } catch {
                throw error.within("the rows of tensor '\(tensor.name)' can't be made")
            }
        }
        let changes = try result.setVocabulary(outcome)
        return ResizedCheckpoint(
            checkpoint: result, changes: ConfigurationChange.inFiles(changes, from: self, to: result),
            tokens: outcome.tokens,
            rows: (found.rows, outcome.plan.rows.count), origins: outcome.origins,
            newRows: outcome.newRanges, reached: outcome.reached,
            initializations: methods, warnings: outcome.warnings)
    }

    /// Has the configuration follow: `vocab_size`, and the ids of tokens that have moved.
    private mutating func setVocabulary(
        _ outcome: VocabularyPlan
    ) throws(UserFacingError) -> [ConfigurationChange] {
        guard var configuration else { return [] }
        var changes: [ConfigurationChange] = []
        let json = try outcome.settings(configuration.json, changes: &changes)
        let isNamed = configuration["vocab_size"] != nil || configuration.languageModel["vocab_size"] != nil
        if !isNamed, outcome.plan.rows.count != outcome.plan.height {
            // The size that the family's configuration class takes is the old one.
            configuration["vocab_size"] = JSON(outcome.plan.rows.count)
            changes.append(
                ConfigurationChange(key: "vocab_size", before: nil, after: JSON(outcome.plan.rows.count)))
        }
        for (key, value) in json.object ?? JSONObject() where configuration[key] != value {
            configuration[key] = value
        }
        self.configuration = configuration
        return changes
    }
}

extension VocabularyResize {
    /// The tensors of the model that the new tokenizer comes from, where a method looks at them.
    fileprivate var donorTensors: DonorTensors? {
        get throws(UserFacingError) {
            guard let method = [input, output].compactMap(\.self).first(where: \.needsDonor) else {
                return nil
            }
            guard case .replaced = change, let donor else { throw .noDonor(method: method.rawValue) }
            return DonorTensors(checkpoint: donor, found: try VocabularyTensors(of: donor))
        }
    }
}

/// The embedding and the head of another model.
private struct DonorTensors {
    let checkpoint: Checkpoint
    let found: VocabularyTensors

    /// The rows at one end; the embedding's where there is no head of its own.
    func rows(
        for role: VocabularyEnd, common: [DonorRows.Common], threads: Int
    ) -> DonorRows? {
        let matrices = found.tensors.compactMap { name, role in
            checkpoint.tensors[name].flatMap { $0.shape.count == 2 ? (role: role, tensor: $0) : nil }
        }
        let matrix = matrices.first { $0.role == role } ?? matrices.first
        return matrix.map { DonorRows($0.tensor, common: common, threads: threads) }
    }
}
