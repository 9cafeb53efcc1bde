public import Formats
internal import Models

/// More tokens for a model, or other ones, with everything that has to follow in step.
public struct VocabularyChange: SurgeryOperation {
    /// `resize-vocab`.
    public static let name = "resize-vocab"
    /// What it takes.
    public static let parameterList =
        [
            OperationParameter("learn", .integer, "learn so many tokens from corpus"),
            OperationParameter("corpus", .paths, "texts to learn from, and for init auto to try rows on"),
            OperationParameter("tokenizer", .path, "go over to the tokenizer in this folder"),
            OperationParameter(
                "keep-old", .flag, "tokens that the other tokenizer does not have follow behind its own"),
            OperationParameter("tokens", .path, "add the tokens of this file, one a line"),
            OperationParameter(
                "tokens-as", .choice(TokenList.Kind.allCases.map(\.rawValue)), "how they are added"),
            OperationParameter("size", .integer, "only change the number of rows"),
            OperationParameter("held-out", .paths, "texts to count the tokens of before and after"),
            OperationParameter(
                "init", .choice(InitializationChoice.allNames),
                "how new rows begin; auto trains several ways a little and takes the best"),
            OperationParameter(
                "init-output", .choice(RowInitialization.allCases.map(\.rawValue)),
                "how new rows of the output head begin, where that differs"),
            OperationParameter("seed", .integer, "what random numbers follow from"),
            OperationParameter(
                "pad-to-multiple-of", .integer, "what the number of rows becomes a multiple of"),
            OperationParameter("drop-padding", .flag, "drop rows that no token has"),
        ] + TextOptions.parameterList

    /// Learn so many tokens from `corpus`.
    public var learn: Int?
    /// Texts to learn from, and to try rows on.
    public var corpus: [String]?
    /// The folder of the tokenizer to go over to.
    public var tokenizer: String?
    /// Whether tokens that the other tokenizer does not have follow behind its own instead of being dropped.
    public var keepOld: Bool?
    /// The file of tokens to add, one a line.
    public var tokens: String?
    /// How they are added; nil for by merges.
    public var tokensAs: TokenList.Kind?
    /// The number of rows, where nothing else changes.
    public var size: Int?
    /// Texts to say of how many bytes a token stands for before and after.
    public var heldOut: [String]?
    /// How new rows begin, a name of ``InitializationChoice``; nil for what goes best with the change.
    public var initialization: String?
    /// How new rows of the head begin, where that differs.
    public var initOutput: RowInitialization?
    /// What random numbers follow from; nil for 0.
    public var seed: UInt64?
    /// What the number of rows becomes a multiple of; nil for 1.
    public var padToMultipleOf: Int?
    /// Whether rows that no token has are dropped.
    public var dropPadding: Bool?
    /// The key of a line's text in `corpus` and `heldOut`; nil for `text`.
    public var textKey: String?
    /// Whether texts are composed.
    public var nfc: Bool?
    /// Whether lines that can't be used are passed over.
    public var skipBadLines: Bool?
    /// Whether control tokens that texts spell out are taken for text.
    public var plainText: Bool?

    private enum CodingKeys: String, CodingKey {
        case learn, corpus, tokenizer, tokens, size, seed
        case keepOld = "keep-old"
        case tokensAs = "tokens-as"
        case heldOut = "held-out"
        case initialization = "init"
        case initOutput = "init-output"
        case padToMultipleOf = "pad-to-multiple-of"
        case dropPadding = "drop-padding"
        case textKey = "text-key"
        case nfc
        case skipBadLines = "skip-bad-lines"
        case plainText = "plain-text"
    }

    /// A request that says nothing yet of what is to become of the vocabulary.
    public init() {}

    /// Refuses anything but one choice, or parameters that belong to another.
    ///
    /// - Throws: ``UserFacingError`` that names them.
    public func check() throws(UserFacingError) {
        let chosen = [learn != nil, tokenizer != nil, tokens != nil, size != nil].count { $0 }
        guard chosen == 1 else { throw .wrongChoice("give one of learn, tokenizer, tokens and size") }
        if let learn, learn < 1 { throw .wrongChoice("learn \(learn): give a number from 1 on") }
        if learn != nil, (corpus ?? []).isEmpty { throw .wrongChoice("learn and corpus go together") }
        if learn == nil, !isProbed, !(corpus ?? []).isEmpty {
            throw .wrongChoice("corpus goes with learn, or with init auto")
        }
        if keepOld == true && tokenizer == nil { throw .wrongChoice("keep-old goes with tokenizer") }
        if tokensAs != nil && tokens == nil { throw .wrongChoice("tokens-as goes with tokens") }
        if dropPadding == true && tokens == nil && learn == nil {
            throw .wrongChoice(
                "drop-padding goes with learn and tokens; another tokenizer brings none along, and size says how many rows there are"
            )
        }
        let reads = [textKey != nil, nfc == true, skipBadLines == true, plainText == true]
        if reads.contains(true), (corpus ?? []).isEmpty, (heldOut ?? []).isEmpty {
            throw .wrongChoice("text-key, nfc, skip-bad-lines and plain-text go with corpus or held-out")
        }
        if let initialization, InitializationChoice(name: initialization) == nil {
            throw .wrongChoice(
                "init '\(initialization)' is none of \(InitializationChoice.allNames.joined(separator: ", "))"
            )
        }
        if isProbed, size != nil {
            throw .wrongChoice(
                "init auto tries rows on text, and no text has those that size adds; give zero, mean or mean-cov"
            )
        }
        if isProbed, initOutput != nil {
            throw .wrongChoice("init auto chooses for both ends; leave init-output out")
        }
    }

    /// Whether a probe decides how rows begin.
    private var isProbed: Bool { initialization.flatMap(InitializationChoice.init(name:)) == .auto }

    /// The result, not written yet, and what is told of it.
    public func apply(to source: Checkpoint, _ context: OperationContext) throws(UserFacingError) -> Outcome {
        try check()
        if context.isDryRun, let outcome = try guess(of: source) { return outcome }
        if isProbed {
            guard let probe = context.probe else { throw .noProbe }
            try probe.check(self)
        }
        let made = try change(of: source, context)
        let (result, table) = try resized(source, made.change, context)
        let unused = try checkTokens(made.list, in: result)
        let report = VocabularyReport(
            result: result, learned: made.learned, table: table, isOpen: isProbed && table == nil,
            texts: try heldOutTexts(source: source, result: result.checkpoint, context))
        var outcome = Outcome(result.checkpoint)
        outcome.changes = result.changes
        outcome.summary = report.lines
        outcome.facts = report.facts
        outcome.suffix = "vocab-\(result.rows.after)"
        outcome.warnings = result.warnings
        if let learned = made.learned {
            let tokenizer = try source.tokenizerFiles().tokenizer().reading(textOptions)
            outcome.warnings += learned.findings.warnings(for: tokenizer)
            let forecast = ExposureForecast(learned.counts.map(Double.init))
            outcome.warnings += [
                forecast.warning(
                    "in one pass over the corpus",
                    advice: forecast.taught > 0
                        ? "learn as many (--learn \(forecast.taught)), give more text, or heal for more passes"
                        : "give more text, or learn fewer")
            ].compactMap(\.self)
            outcome.facts["exposure"] = [
                "under_100": JSON(forecast.rare), "taught": JSON(forecast.taught),
                "median": JSON(forecast.median),
            ]
        }
        if let first = unused.first {
            outcome.warnings.append(
                "\(unused.count) of the tokens are never used behind a space, and so rarely inside a text: "
                    + unused.prefix(8).map { "\"\($0.text)\" (line \($0.line))" }.joined(separator: ", ")
                    + (unused.count > 8 ? " and others" : "")
                    + "; begin their lines with the space, as \" \(first.text)\", or give both lines")
            outcome.facts["unused_behind_space"] = .array(unused.map { .string($0.text) })
        }
        return outcome
    }

    /// What a dry run shows where files are not there: rows without tokens, as many as follow from the numbers alone.
    ///
    /// nil where nothing is missing.
    private func guess(of source: Checkpoint) throws(UserFacingError) -> Outcome? {
        var missing = [corpus, heldOut, [tokens, tokenizer].compactMap(\.self)].compactMap(\.self).joined()
            .filter {
                !$0.isEmpty && FileSystem.kind(of: $0) == nil && !HubCache.isName($0) && $0 != "-"
                    && !TextPaths.isPattern($0)
            }
        if size == nil, try source.tokenizerFiles().isEmpty {
            missing.append("\(source.path)'s tokenizer.json")
        }
        guard !missing.isEmpty else { return nil }
        let rows = try VocabularyTensors(of: source).rows
        let wanted = size ?? rows + (learn ?? 0)
        let multiple = max(padToMultipleOf ?? 1, 1)
        let resized = try source.resized(
            VocabularyResize(.rows((wanted + multiple - 1) / multiple * multiple), input: .zero))
        var outcome = Outcome(resized.checkpoint)
        outcome.changes = resized.changes
        outcome.say(
            "rows", "\(Units.grouped(rows)) → \(Units.grouped(resized.rows.after)), as far as can be told")
        outcome.facts = resized.facts
        outcome.suffix = "vocab-\(resized.rows.after)"
        outcome.warnings = missing.map { "\($0) is not there yet, and the step needs it" }
        return outcome
    }

    /// How `corpus` and `heldOut` are read.
    private var textOptions: TextOptions {
        TextOptions(
            textKey: textKey ?? "text", composes: nfc ?? false, skipsBadLines: skipBadLines ?? false,
            isPlain: plainText ?? false)
    }

    /// The change, with what was learned for it.
    private func change(
        of source: Checkpoint, _ context: OperationContext
    ) throws(UserFacingError) -> (
        change: VocabularyResize.Change, learned: LearnedTokens?, list: TokenList?
    ) {
        if let size { return (.rows(size), nil, nil) }
        if let tokenizer {
            return (.replaced(by: try TokenizerFiles.open(tokenizer), keepsOld: keepOld ?? false), nil, nil)
        }
        let old = try source.tokenizerFiles().agreeingTokenizer()
        if let tokens {
            let list = try TokenList(path: tokens)
            let extra = try VocabularyExtension(list, as: tokensAs ?? .merges, for: old)
            return (.extended(extra), nil, list)
        }
        let learned = try old.reading(textOptions).learning(
            learn ?? 0, from: Documents(paths: corpus ?? [], options: textOptions), threads: context.threads,
            isCancelled: context.isCancelled, progress: { context.progress("reading", $0, $1) })
        return (.extended(VocabularyExtension(learned, for: old)), learned, nil)
    }

    /// Refuses tokens that are not decoded to themselves.
    ///
    /// - Returns: those that merges lead to, but never behind a space.
    private func checkTokens(
        _ list: TokenList?, in result: ResizedCheckpoint
    ) throws(UserFacingError) -> [TokenList.Entry] {
        guard let list else { return [] }
        let new = try result.checkpoint.tokenizerFiles().tokenizer()
        let kind = tokensAs ?? .merges
        try list.checkDecoding(by: new, as: kind)
        return kind == .merges ? list.unusedBehindSpace(by: new) : []
    }

    /// The model with the change; where a probe decides how rows begin, with what it finds best, and its table, which a dry
    /// run does not have.
    private func resized(
        _ source: Checkpoint, _ change: VocabularyResize.Change, _ context: OperationContext
    ) throws(UserFacingError) -> (ResizedCheckpoint, InitializationTable?) {
        guard isProbed, let probe = context.probe else {
            var pair = initialization.flatMap { InitializationPair(name: $0) } ?? .standard
            if case .rows = change, initialization == nil { pair = .transformers }
            return (try source.resized(try request(change, pair, context)), nil)
        }
        var (results, candidates): ([ResizedCheckpoint], [InitializationCandidate]) = ([], [])
        for pair in InitializationPair.tried(isTied: try VocabularyTensors(of: source).isTied) {
            let result = try source.vocabularyResized(try request(change, pair, context))
            results.append(result)
            candidates.append(
                InitializationCandidate(pair: pair, checkpoint: result.checkpoint, newRows: result.newRows))
        }
        let table = try probe.table(of: candidates, for: self, context)
        guard let best = table == nil ? 0 : table?.best else { throw .noneFinite }
        results[best].checkpoint.operations = source.operations
        return (results[best], table)
    }

    private func request(
        _ change: VocabularyResize.Change, _ pair: InitializationPair, _ context: OperationContext
    ) throws(UserFacingError) -> VocabularyResize {
        let needsDonor = pair.input.needsDonor || (initOutput ?? pair.output).needsDonor
        var donor: Checkpoint?
        if needsDonor, let tokenizer { donor = try Checkpoint.openModel(tokenizer) }
        return VocabularyResize(
            change, multiple: padToMultipleOf ?? 1, dropsPadding: dropPadding ?? false, input: pair.input,
            output: initOutput ?? pair.output, seed: seed ?? 0, donor: donor, threads: context.threads)
    }

    /// How many bytes a token stands for in the held-out texts, before and after.
    private func heldOutTexts(
        source: Checkpoint, result: Checkpoint, _ context: OperationContext
    ) throws(UserFacingError) -> [(path: String, before: TextFigures, after: TextFigures)] {
        guard let heldOut, !heldOut.isEmpty else { return [] }
        let old = try source.tokenizerFiles().tokenizer()
        let new = try result.tokenizerFiles().tokenizer()
        var texts: [(path: String, before: TextFigures, after: TextFigures)] = []
        for path in heldOut {
            if TextPaths.isPipe(path) {
                throw .wrongChoice("held-out \(path): it is read twice, so give a file")
            }
            func figures(_ tokenizer: Tokenizer) throws(UserFacingError) -> TextFigures {
                try tokenizer.reading(textOptions).figures(
                    of: Documents(paths: [path], options: textOptions), threads: context.threads,
                    isCancelled: context.isCancelled,
                    progress: { context.progress("counting", $0, $1) })
            }
            texts.append((path, try figures(old), try figures(new)))
        }
        return texts
    }
}

extension UserFacingError {
    /// Parameters that contradict each other.
    fileprivate static func wrongChoice(_ advice: String) -> Self { Self(.request, advice) }

    /// Nothing is there that could train.
    fileprivate static var noProbe: Self {
        Self(
            .request,
            "init auto trains, which surgery by itself does not; name a method, as in \(InitializationPair.standard.name)"
        )
    }

    /// No way in which rows may begin was trained to a finite loss.
    fileprivate static var noneFinite: Self {
        Self(
            .diverged,
            "init auto: after the steps no method has a finite loss on the text held back; name a method, as in \(InitializationPair.standard.name)"
        )
    }
}
