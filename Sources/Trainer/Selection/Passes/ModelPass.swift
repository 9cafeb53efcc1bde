internal import Formats
internal import Foundation

/// The pass that has a model measure documents.
///
/// One part comes after the other, for the model itself computes on all threads.
struct ModelPass {
    let run: SelectionRun
    let clusters: Clusters
    let cleaner: TextCleaner
    let choice: DocumentChoice
    let model: DocumentModel

    /// About how many bytes of text are measured at once.
    private static let bytesAtOnce = 1 << 18

    /// What stands in a row of a part's file.
    struct Row {
        /// The cosine of the embedding and the task's; no number where a document has no token.
        var similarity: Double
        /// The mean cross entropy of a token in nats, and in bits by byte; no numbers where nothing is predicted.
        var perplexity, bitsPerByte: Double
        var tokens: Double

        static let columns = 4
        var numbers: [Double] { [similarity, perplexity, bitsPerByte, tokens] }

        init(_ found: DocumentModel.Measured, bytes: Int, task: [Double]) {
            similarity = found.embedding.isEmpty || task.isEmpty ? .nan : cosine(found.embedding, task)
            perplexity = found.predicted > 0 ? found.nats / Double(found.predicted) : .nan
            bitsPerByte = found.predicted > 0 ? found.nats / log(2) / Double(bytes) : .nan
            tokens = Double(found.tokens)
        }

        init(_ numbers: [Double]) {
            (similarity, perplexity, bitsPerByte, tokens) = (numbers[0], numbers[1], numbers[2], numbers[3])
        }
    }

    /// Writes a file a part.
    func carryOut() throws(UserFacingError) {
        guard (0..<run.parts.count).contains(where: { !FileSystem.exists(run.places.measures($0)) }) else {
            return
        }
        if choice.computes { try model.load(isCancelled: { run.work.isStopped }) }
        let task = choice.measures.contains(.similarity) ? try taskEmbedding() : []
        try run.forEachPartInOrder(.model) { part throws(UserFacingError) in
            let path = run.places.measures(part)
            guard !FileSystem.exists(path) else { return }
            let writer = try NumberRowsWriter(path: path)
            let embeddings =
                choice.keepsEmbeddings ? try NumberRowsWriter(path: run.places.embeddings(part)) : nil
            var (waiting, bytes): ([[UInt8]], Int) = ([], 0)
            func measure() throws(UserFacingError) {
                let found = try model.measure(
                    waiting, losses: choice.measures.contains(where: \.needsLosses),
                    embeddings: choice.embeds,
                    run.work.check)
                for (found, text) in zip(found, waiting) {
                    try writer.append(Row(found, bytes: text.count, task: task).numbers)
                    try embeddings?.append(unit(found.embedding))
                }
                (waiting, bytes) = ([], 0)
            }
            try run.forEachCandidate(of: part, clusters, cleaner) { _, text throws(UserFacingError) in
                waiting.append(text)
                bytes += text.count
                if bytes > Self.bytesAtOnce { try measure() }
            }
            try measure()
            // What tells that the part is done comes last.
            try embeddings?.finish()
            try writer.finish()
        }
    }

    /// An embedding with the length 1; zero where there is none.
    private func unit(_ embedding: [Double]) -> [Float] {
        guard !embedding.isEmpty else { return [Float](repeating: 0, count: model.width) }
        let length = embedding.reduce(0) { $0 + $1 * $1 }.squareRoot()
        return embedding.map { length > 0 ? Float($0 / length) : 0 }
    }

    /// The mean of the embeddings of the task's documents.
    private func taskEmbedding() throws(UserFacingError) -> [Double] {
        var (waiting, bytes, count): ([[UInt8]], Int, Int) = ([], 0, 0)
        var sum = [Double](repeating: 0, count: model.width)
        func measure() throws(UserFacingError) {
            for found in try model.measure(waiting, run.work.check) where !found.embedding.isEmpty {
                count += 1
                for channel in sum.indices { sum[channel] += found.embedding[channel] }
            }
            (waiting, bytes) = ([], 0)
        }
        try choice.forEachText(run.settings) { text throws(UserFacingError) in
            waiting.append(text)
            bytes += text.count
            if bytes > Self.bytesAtOnce { try measure() }
        }
        try measure()
        guard count > 0 else { throw .noTask(paths: choice.task) }
        return sum.map { $0 / Double(count) }
    }
}
