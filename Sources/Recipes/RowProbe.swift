public import Formats
internal import Models
public import Surgery
public import Trainer

/// What `--init auto` does: trains each way in which new rows may begin a little, where surgery and training meet.
///
/// In a recipe the text and the rates are those of the healing that follows, else the text is the corpus and the rates are
/// a healing's defaults.
public struct RowProbe: InitializationProbe {
    private let healing: TrainingJob?
    private let chosenLater: [String]
    private let size: TrainingProbe.Size
    private let threads: Int
    private let isDryRun: Bool
    private let say: (String) -> Void

    /// A probe.
    ///
    /// - Parameters:
    ///   - healing: the healing that follows; nil for none.
    ///   - chosenLater: files of text that a selection after it writes, which can't be read yet.
    ///   - size: how much is done with each way.
    ///   - threads: how many threads compute; no result depends on it.
    ///   - isDryRun: whether nothing is trained.
    ///   - say: told what it costs before it begins, and each way's figures.
    public init(
        healing: TrainingJob? = nil, chosenLater: [String] = [], size: TrainingProbe.Size = .standard,
        threads: Int = 1, isDryRun: Bool = false, say: @escaping (String) -> Void = { _ in }
    ) {
        // Of a healing in stages the first that trains on text.
        self.healing = healing?.stageJobs.first { !$0.sources.isEmpty && $0.distilRows == nil }
        self.chosenLater = chosenLater
        (self.size, self.threads, self.isDryRun, self.say) = (size, threads, isDryRun, say)
    }

    /// Refuses a change without a text that can be read again.
    public func check(_ change: VocabularyChange) throws(UserFacingError) {
        let texts = texts(for: change)
        guard !texts.isEmpty else { throw .noTextToTry }
        if let pipe = texts.flatMap(\.paths).first(where: TextPaths.isPipe) {
            throw UserFacingError(
                .request, "init auto reads \(pipe) more than once, so give a file; or \(Self.advice)")
        }
        if let path = texts.flatMap(\.paths).first(where: chosenLater.contains) {
            throw UserFacingError(
                .request,
                """
                init auto tries rows on the text of the healing that follows, and \(path) is chosen only after this step; \
                put the selection before it, or \(Self.advice)
                """)
        }
    }

    /// Trains the candidates one after the other.
    public func table(
        of candidates: [InitializationCandidate], for change: VocabularyChange, _ context: OperationContext
    ) throws(UserFacingError) -> InitializationTable? {
        do { return try tried(candidates, change, context) } catch let error as UserFacingError {
            if error.isInterruption { throw error }
            throw UserFacingError(error.kind, "\(error); \(Self.advice)").within("init auto")
        } catch {
            preconditionFailure("the libraries throw one kind of error: \(error)")
        }
    }

    /// What to do where nothing can be tried.
    static let advice = "name a method instead, as in --init \(InitializationPair.standard.name)"

    private func tried(
        _ candidates: [InitializationCandidate], _ change: VocabularyChange, _ context: OperationContext
    ) throws -> InitializationTable? {
        let (texts, job) = (texts(for: change), job(for: change))
        let names = candidates.map(\.pair.name).joined(separator: ", ")
        let missing = texts.flatMap(\.paths).filter { !FileSystem.exists($0) && !TextPaths.isPattern($0) }
        if isDryRun, !missing.isEmpty {
            say("init auto: would train \(names); \(missing.joined(separator: ", ")) will tell what it takes")
            return nil
        }
        let probe = try TrainingProbe(
            job, on: texts, of: candidates[0].checkpoint, newTokens: candidates[0].newRows, size: size,
            threads: threads, isCancelled: context.isCancelled)
        let size = probe.size
        let seconds = try Double(candidates.count) * probe.expectedSeconds(of: candidates[0].checkpoint)
        say(
            """
            init auto: \(isDryRun ? "would train" : "trains") \(names), each \(size.steps) steps of \(size.batch) × \
            \(size.length) tokens, and judges by \(Units.grouped(probe.heldBack.tokens)) tokens held back; about \
            \(Units.duration(seconds: seconds)), \(Units.bytes(probe.memory.total)) of memory, nothing on the disk
            """)
        try probe.check()
        if isDryRun { return nil }
        var rows: [InitializationTable.Row] = []
        for candidate in candidates {
            let name = candidate.pair.name
            // How far it is counts in bytes of text, as everything that reads does.
            func tell(_ step: Int) {
                context.progress(
                    "training \(name)", step * probe.trainingBytes / size.steps, probe.trainingBytes)
            }
            tell(0)
            let found = try probe.measure(
                candidate.checkpoint, isCancelled: context.isCancelled, progress: tell)
            rows.append(InitializationTable.Row(name: name, before: found.before, after: found.after))
        }
        return InitializationTable(
            rows: rows, steps: size.steps, tokens: size.steps * size.batch * size.length,
            documents: probe.heldBack.documents, heldBackTokens: probe.heldBack.tokens,
            bytes: probe.heldBack.bytes, texts: texts.map(\.source.name))
    }

    /// What is trained on: each path of the healing's data once, its shares added up; else the corpus.
    private func texts(for change: VocabularyChange) -> [TrainingProbe.Text] {
        guard let healing else {
            guard let corpus = change.corpus, !corpus.isEmpty else { return [] }
            return [TrainingProbe.Text(TextSource(name: "corpus", path: "corpus"), in: corpus)]
        }
        var sources: [TextSource] = []
        for source in healing.sources {
            if let index = sources.firstIndex(where: { $0.path == source.path }) {
                sources[index].weight += source.weight
            } else {
                sources.append(source)
            }
        }
        return sources.map { TrainingProbe.Text($0, in: [$0.path]) }
    }

    /// The healing's ways of reading and its rates; what it freezes or moves by itself may not be in the model yet.
    private func job(for change: VocabularyChange) -> TrainingJob {
        var job = TrainingJob()
        job.seed = change.seed ?? 0
        guard let healing else {
            (job.textKey, job.nfc) = (change.textKey ?? job.textKey, change.nfc ?? false)
            (job.skipBadLines, job.plainText) = (change.skipBadLines ?? false, change.plainText ?? false)
            return job
        }
        (job.textKey, job.nfc) = (healing.textKey, healing.nfc)
        (job.skipBadLines, job.plainText) = (healing.skipBadLines, healing.plainText)
        (job.endOfText, job.noEndOfText) = (healing.endOfText, healing.noEndOfText)
        (job.lr, job.embeddingLr) = (healing.lr, healing.embeddingLr)
        (job.beta1, job.beta2, job.eps) = (healing.beta1, healing.beta2, healing.eps)
        (job.weightDecay, job.clip) = (healing.weightDecay, healing.clip)
        return job
    }
}

extension UserFacingError {
    /// There is no text that rows could be tried on.
    fileprivate static var noTextToTry: Self {
        Self(
            .request,
            """
            init auto tries methods on text, and none is given: give --corpus FILE, or in a recipe a heal step with data \
            after it; or \(RowProbe.advice)
            """)
    }
}
