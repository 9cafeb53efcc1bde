package import Formats
internal import Foundation
internal import Models

/// A model's own texts, sampled as replay: what it has learned and nobody has the data of any more
/// (<https://arxiv.org/abs/2605.26097>).
///
/// Texts go into `OUT.run/texts.jsonl`, document by document, and become `OUT` when there are enough. `OUT.run/replay.json`
/// says what is made and stays. A document follows from the model, the request and its number, so that a run which was
/// stopped, by whatever, goes on to the same bytes.
public final class ReplayRun {
    /// What there is to know before it begins, a sentence each.
    public let warnings: [String]
    private let request: ReplayRequest
    private let options: RunOptions
    private let model: PretrainedModel
    private let output: String
    private let maker: ReplayText.Maker
    private let record: Record
    private let length: Int
    private var beginnings: ReplayBeginnings
    private var count: ReplayCount
    private let lock: WritableFile
    /// What this very run has made, and its SHA-256, where it has been carried out to its end; nil where it has not.
    private let finished: (figures: ReplayFigures, sha256: String)?

    /// What is made, all that decides it.
    private struct Record: Codable {
        var format = "model-surgery replay 2"
        var model: String
        /// The SHA-256 of all tensors, and of configuration and tokenizer by their names.
        var weights: String?
        var files: [String: String]
        var tokens: Int
        var length: Int
        var sampling: Sampling
        /// The SHA-256 of the texts that documents begin with, their share and length; nil where there are none.
        var prefixes: Prefixes?
        /// What was made, and its SHA-256, when it is done.
        var figures: ReplayFigures?, sha256: String?

        struct Prefixes: Codable {
            var sha256: String, share: Double, tokens: Int
        }
    }

    private static let recordName = "replay.json"
    private static let textsName = "texts.jsonl"
    private static let lockName = ".lock"

    private var folder: String { CheckpointStore.folder(of: output) }
    private var texts: String { Path.join(folder, Self.textsName) }

    /// Opens the model, and looks whether there is something to go on with.
    ///
    /// - Parameters:
    ///   - request: what is wanted.
    ///   - model: the model's folder, or its name on the hub.
    ///   - output: the file of JSON lines to write.
    ///   - options: threads, whether it goes on, and whether it replaces something.
    /// - Throws: ``UserFacingError`` that names the file or setting and what would be right.
    public init(
        _ request: ReplayRequest, of model: String, to output: String, options: RunOptions = RunOptions()
    ) throws {
        try request.check()
        (self.request, self.output, self.options) = (request, output, options)
        if FileSystem.exists(output), !options.force, !options.resume {
            throw UserFacingError.exists(path: output)
        }
        try TextPaths.check(output, apartFrom: [request.prefixes].compactMap(\.self))
        let opened = try PretrainedModel.open(model)
        self.model = opened
        let tokenizer = try opened.tokenizer()
        let (layout, notes, _) = try opened.documentLayout(tokenizer, endOfText: .ofModel)
        length = request.length ?? opened.usualLength
        let prefixes = try request.prefixes.map {
            try DocumentEncoder(
                path: $0, options: request.text, tokenizer: tokenizer.reading(request.text), layout: layout,
                vocabularySize: opened.architecture.vocabularySize)
        }
        guard layout.start != nil || prefixes != nil && request.prefixShare == 1 else {
            throw UserFacingError.noStart(path: opened.checkpoint.path)
        }
        guard prefixes == nil || request.prefixTokens + 1 < length else {
            throw UserFacingError(
                .request,
                "a prefix of \(request.prefixTokens) tokens leaves no room in a document of \(length); take a shorter one"
            )
        }
        warnings = notes + (prefixes?.warnings ?? [])
        beginnings = ReplayBeginnings(request, start: layout.start, prefixes: prefixes)
        count = ReplayCount(tokenizer, layout)
        let name = HubCache.isName(model) ? model : Path.name(Path.absolute(model))
        maker = ReplayText.Maker(model: name, seed: request.sampling.seed)
        record = Record(
            model: name, weights: try RunIdentity.values(ofAllBut: [], in: opened.checkpoint),
            files: try RunIdentity.files(of: opened.checkpoint), tokens: request.tokens, length: length,
            sampling: request.sampling,
            prefixes: try prefixes.map {
                Record.Prefixes(
                    sha256: try $0.content().sha256, share: request.prefixShare, tokens: request.prefixTokens)
            })
        finished = try Self.finished(record, output, options)
        let folder = CheckpointStore.folder(of: output)
        if !FileSystem.exists(folder) { try FileSystem.create(folder) }
        lock = try WritableFile(path: Path.join(folder, Self.lockName))
        guard lock.lock() else { throw UserFacingError.runBusy(folder: folder) }
    }

    deinit {
        try? FileSystem.remove(Path.join(folder, Self.lockName))
        if (try? FileSystem.names(folder))?.isEmpty == true { try? FileSystem.remove(folder) }
    }

    /// What this very run has made where it has been carried out to its end; nil where it has not.
    ///
    /// - Throws: ``UserFacingError`` when something is in its place that is not to be replaced, or other settings were
    ///   resumed.
    private static func finished(
        _ record: Record, _ output: String, _ options: RunOptions
    ) throws -> (figures: ReplayFigures, sha256: String)? {
        if options.force { return nil }
        let folder = CheckpointStore.folder(of: output)
        let isBegun = FileSystem.exists(Path.join(folder, textsName))
        guard options.resume else {
            if isBegun { throw UserFacingError.unfinishedReplay(folder: folder) }
            return nil
        }
        guard isBegun || FileSystem.exists(output) else { return nil }
        let path = Path.join(folder, recordName)
        // What has no record is not of this command.
        guard FileSystem.exists(path) else { throw UserFacingError.exists(path: output) }
        let kept: Record
        do { kept = try JSON.read(path: path).decoded(as: Record.self) } catch {
            throw UserFacingError.badRunState(path: path, reason: "\(error)")
        }
        var asked = kept
        (asked.figures, asked.sha256) = (nil, nil)
        let differences = try RunIdentity.compare(JSON(encoding: record), JSON(encoding: asked))
        guard differences.isEmpty else {
            throw UserFacingError.otherRun(folder: folder, differences: differences)
        }
        guard !isBegun, let figures = kept.figures, let sha256 = kept.sha256 else {
            // What stands there before the run is done is another's.
            if FileSystem.exists(output) { throw UserFacingError.exists(path: output) }
            return nil
        }
        return (figures, sha256)
    }

    /// Looks whether the output of a finished run is what was written.
    ///
    /// - Throws: ``UserFacingError`` that says what is other in it.
    private func checkOutput(_ figures: ReplayFigures, _ sha256: String) throws {
        let found = try FileDigest.sha256(InputFile(path: output))
        if found == sha256 { return }
        _ = try countLines(of: output)
        func words(_ figures: ReplayFigures, _ sha256: String) -> String {
            """
            \(Units.grouped(figures.documents)) documents of \(Units.grouped(figures.bytes)) bytes, SHA-256 \(sha256.prefix(12))
            """
        }
        throw UserFacingError.changedReplay(
            path: output, found: words(count.figures, found), expected: words(figures, sha256))
    }

    /// Samples what is not there yet, and gives the output its name.
    ///
    /// - Parameters:
    ///   - isCancelled: asked after each token; true stops the run, of which all whole documents are kept.
    ///   - progress: is given what there is so far, after each document.
    /// - Returns: what the output holds, and what sampling took; nil where all was there.
    /// - Throws: ``UserFacingError`` when it was stopped, a file can't be read or written, or the model writes no text.
    public func callAsFunction(
        isCancelled: () -> Bool, progress: (ReplayFigures) -> Void = { _ in }
    ) throws -> (figures: ReplayFigures, time: GenerationTime?) {
        if let finished {
            try checkOutput(finished.figures, finished.sha256)
            return (finished.figures, nil)
        }
        if options.force { try FileSystem.remove(texts) }
        try write(record)
        let whole = FileSystem.exists(texts) ? try countLines(of: texts) : 0
        let file = try AppendedFile(WritableFile(path: texts), keeping: whole)
        var time: GenerationTime?
        if count.figures.tokens < request.tokens {
            time = try sample(into: file, isCancelled: isCancelled, progress: progress)
        }
        try file.synchronize()
        var done = record
        (done.figures, done.sha256) = (count.figures, try FileDigest.sha256(InputFile(path: texts)))
        try write(done)
        if options.force {
            try FileSystem.replace(output, with: texts)
        } else {
            try FileSystem.rename(texts, to: output)
        }
        return (count.figures, time)
    }

    private func write(_ record: Record) throws {
        try AtomicFile(path: Path.join(folder, Self.recordName)).publish(
            JSON(encoding: record).serialized() + [UInt8(ascii: "\n")])
    }

    /// How many documents in a row may be empty before a model counts as one that writes no text.
    private static let mostEmpty = 1_000

    private func sample(
        into file: AppendedFile, isCancelled: () -> Bool, progress: (ReplayFigures) -> Void
    ) throws -> GenerationTime {
        let tokenizer = try model.tokenizer()
        let generator = try Generator(model, threads: options.threads, isCancelled: isCancelled)
        do {
            try generator.write(
                from: count.next, length: length, sampling: request.sampling, isCancelled: isCancelled,
                beginning: { number throws(UserFacingError) in
                    (beginnings.start.map { [$0] } ?? []) + (try beginnings.prefix(number))
                }
            ) { number, continuation throws(UserFacingError) in
                let text = ReplayText(
                    continuation,
                    prefix: Array(continuation.promptTokens.dropFirst(beginnings.start == nil ? 0 : 1)),
                    index: number, tokenizer: tokenizer)
                guard !text.text.isEmpty else {
                    guard number - count.next < Self.mostEmpty else {
                        throw .noReplay(path: model.checkpoint.path, documents: Self.mostEmpty)
                    }
                    return true
                }
                try file.append(text.line(maker))
                try count.count(text)
                progress(count.figures)
                return count.figures.tokens < request.tokens
            }
        } catch {
            guard error.isInterruption else { throw error }
            throw UserFacingError.interrupted(
                " after \(Units.grouped(count.figures.documents)) documents; the same command with --resume goes on"
            )
        }
        return generator.time
    }

    /// Counts the documents of a file; what a kill has left of a line at its end is passed over.
    ///
    /// - Returns: the bytes of the whole lines.
    private func countLines(of path: String) throws(UserFacingError) -> Int {
        let file = try InputFile(path: path)
        var (offset, whole, line) = (0, 0, [UInt8]())
        while offset < file.size {
            let bytes = try file.bytes(at: offset, count: min(1 << 20, file.size - offset))
            offset += bytes.count
            var rest = bytes[...]
            while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                line += rest[..<end]
                guard let text = ReplayText(line: line), text.index >= count.next else {
                    throw .badRunState(
                        path: path,
                        reason: "line \(count.figures.documents + 1) is not one that was written here")
                }
                try count.count(text)
                whole += line.count + 1
                line.removeAll(keepingCapacity: true)
                rest = rest[(end + 1)...]
            }
            line += rest
        }
        return whole
    }
}

// Why there are no texts of a model's own.
extension UserFacingError {
    /// A run for the same output was begun and not ended.
    package static func unfinishedReplay(folder: String) -> Self {
        Self(
            .request,
            "\(folder) holds a run that was stopped; add --resume to go on with it, or --force to begin again"
        )
    }

    /// The output of a finished run is no more what was written.
    package static func changedReplay(path: String, found: String, expected: String) -> Self {
        Self(
            .inconsistent,
            """
            \(path) is no longer what was written: it has \(found), and had \(expected); put it back, or add --force without \
            --resume to write it again
            """)
    }

    /// The model has no token that a text begins with.
    package static func noStart(path: String) -> Self {
        Self(
            .unsupported,
            """
            \(path) names no token that a text begins with; give texts that all documents begin with: --prefixes FILE \
            --prefix-share 1
            """)
    }

    /// The model ends all documents before they begin.
    package static func noReplay(path: String, documents: Int) -> Self {
        Self(
            .unsupported,
            """
            \(path) has written \(documents) documents in a row without any text; give texts that it can go on with: \
            --prefixes FILE --prefix-share 1
            """)
    }
}
