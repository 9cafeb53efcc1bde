import ArgumentParser
import CommandLineSupport
import Formats
import Trainer

struct Heal: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "heal",
        abstract: "Train a model on: continued pre-training.",
        discussion: """
            Reads documents, mixes them by weight and trains the model with AdamW: all of it, or what --train and \
            --freeze leave. Of a model of more than text the text model is trained, and the rest comes along. The \
            source is never changed; the result is a folder of its own, in the source's type and format, that \
            appears when the run is done.

              trainer heal my-model-dus-48 --data korean.jsonl:0.75 --replay english.jsonl:0.25 --steps 2000

            A document is a start token, its text and the model's end of text. Without --steps, --tokens or --epochs a \
            run goes on until every source was shown once, in proportion to the weights. Of each source every token is \
            shown once before any is shown again.

            A run that was stopped goes on with the same command and --resume, to the same bits. What is kept for \
            that lies beside the output, in OUT.run, where a record of the run stays (see trainer report). SIGINT, SIGTERM, SIGHUP, SIGUSR1 and \
            SIGXCPU end the step at hand and keep the run.

            \(TextArguments.files) What came through a pipe has to be given again to go on.

            The log has a line a step: "run" (whose line it is), "step", "loss" (nats a token, before the step, and the load-balancing loss \
            where config.json asks for it), "tokens" (shown so far), "sources" \
            ({NAME: {"passes", "coverage", "tokens"}}, and "synthetic", tokens of documents marked so, where a source has some), with a teacher "teacher" ({"cross_entropy", "kl", "hidden_mse", "taught", "targets"}, \
            of which the loss is made), where rows are distilled "rows" ({"mse", "cross_entropy", "places"}), "lr", "grad_norm" (before clipping), \
            "seconds" (of the step).
            """)

    @Argument(help: "The model's folder.") var model = "."
    @OptionGroup(title: "Data") var data: HealData
    @OptionGroup(title: "Teacher") var teacher: HealTeacher
    @OptionGroup(title: "Reading of text") var text: TextArguments
    @OptionGroup(title: "Length of the run") var extent: HealExtent
    @OptionGroup(title: "Optimizer") var optimizer: HealOptimizer
    @OptionGroup(title: "Judgement and ends") var judgement: HealJudgement
    @OptionGroup(title: "Result") var result: HealResult
    @OptionGroup(title: "Another engine") var cluster: HealCluster
    @OptionGroup var compute: ComputeOptions

    func validate() throws {
        do { try job.check(prefix: "--") } catch { throw ValidationError("\(error)") }
        try refuseModels(among: job.files)
        guard !cluster.planOnly || judgement.maxTime == nil else {
            throw ValidationError(
                "--max-time is of one start, and --plan-only starts nothing; give worker.py --max-time SECONDS where it is started"
            )
        }
        guard
            !cluster.planOnly || result.log == nil && result.tensorboard == nil && !result.noTensorboard
        else {
            throw ValidationError(
                "--log, --tensorboard and --no-tensorboard are not kept with --plan-only; trainer adopt writes event files into OUT.run"
            )
        }
    }

    func run() throws {
        try runReportingErrors {
            Interruption.watch()
            try refuseModels(among: optimizer.train + optimizer.freeze + optimizer.groups)
            try requireModel(model)
            var options = RunOptions()
            (options.threads, options.tool) = (compute.count, "trainer \(Version.current)")
            (options.force, options.resume) = (result.force, result.resume)
            options.isDryRun = result.dryRun || result.explain
            options.atStep = result.atStep
            let prepared = try PreparedJob(
                job, on: model, to: result.output ?? OutputPath.beside(model, suffix: "healed"),
                options: options
            ) { Interruption.signal != nil }
            let output = prepared.output.output
            if let finished = try prepared.finished() { return try tell(finished, output: output) }
            for warning in prepared.warnings { warn(warning) }
            if result.explain { return try explain(prepared) }
            report(prepared.table(computesHere: cluster.target == nil))
            if result.dryRun {
                if let settings = cluster.settings {
                    if cluster.planOnly {
                        try ClusterRun.check(prepared, settings, elsewhere: true)
                    } else {
                        _ = try ClusterRun(prepared, settings)
                    }
                } else {
                    try prepared.check()
                }
                if result.json { printJSON(prepared.json(computesHere: cluster.target == nil)) }
                return
            }
            if let settings = cluster.settings { return try compute(prepared, by: settings) }
            var narrator = HealNarrator()
            let run = try TrainingLoop(prepared) { narrator.tell($0) }
            for warning in run.warnings { warn(warning) }
            defer { narrator.finish() }
            let outcome = try run { Interruption.signal != nil }
            narrator.finish()
            for overflow in outcome.warnings { warn(overflow) }
            if result.json { return printJSON(try outcome.json(output: output)) }
            for line in outcome.lines(output: output) { report(line) }
        }
    }

    /// Carries a job out by PyTorch's engine, or only plans it.
    private func compute(_ prepared: PreparedJob, by settings: ClusterSettings) throws {
        let output = prepared.output.output
        if cluster.planOnly {
            let folder = try ClusterRun.plan(prepared, settings) { Interruption.signal != nil }
            report("wrote \(folder)")
            return result.json ? printJSON(["folder": .string(folder)]) : ()
        }
        let run = try ClusterRun(prepared, settings)
        report(run.environment)
        for warning in run.warnings { warn(warning) }
        if let elsewhere = run.elsewhere {
            report(
                "start within ten minutes, each on one of the other hosts, in \(run.folder) or a copy of it:\n\(elsewhere)"
            )
        }
        var narrator = HealNarrator()
        defer { narrator.finish() }
        let outcome = try run(isCancelled: { Interruption.signal != nil }) { narrator.tell($0) }
        narrator.finish()
        for overflow in outcome.warnings { warn(overflow) }
        if result.json { return printJSON(try outcome.json(output: output)) }
        for line in outcome.lines(output: output) { report(line) }
    }

    /// The job that the command line asks for.
    private var job: TrainingJob {
        var job = TrainingJob()
        job.take(data, text)
        (job.teacher, job.teacherWeight) = (teacher.model, teacher.teacherWeight)
        (job.teacherTemperature, job.teacherOn) = (teacher.teacherTemperature, teacher.teacherOn)
        (job.teacherHidden, job.distilRows) = (teacher.teacherHidden, teacher.distilRows)
        (job.steps, job.tokens, job.epochs) = (extent.steps, extent.tokens, extent.epochs)
        job.take(extent.batches)
        if cluster.target != nil {
            // What PyTorch's engine keeps is float32.
            (job.moments, job.gradients) = (.f32, .f32)
        }
        job.take(optimizer)
        (job.guarding, job.guardSigma) = (judgement.policy, judgement.guardSigma)
        (job.evalAt, job.evalEvery, job.patience) = (
            judgement.evalAt, judgement.evalEvery, judgement.patience
        )
        (job.untilHealed, job.healedBy, job.maxTime) = (
            judgement.untilHealed, judgement.healedBy, judgement.maxTime
        )
        (job.result, job.averageDecay) = (result.which, result.averageDecay)
        (job.keep, job.keepBest) = (result.keep, result.keepBest)
        (job.stages, job.from) = (extent.stages, result.from)
        (job.checkpointEvery, job.log) = (result.checkpointEvery, result.log)
        (job.tensorboard, job.noTensorboard) = (result.tensorboard, result.noTensorboard)
        return job
    }

    /// Says what every parameter is and why, and what the run takes.
    private func explain(_ prepared: PreparedJob) throws {
        let explanation = JobExplanation(of: prepared)
        report(explanation.table + "\n")
        report(prepared.table(computesHere: cluster.target == nil))
        if let settings = cluster.settings {
            // Nobody knows the machine that computes.
            try ClusterRun.check(prepared, settings, elsewhere: cluster.planOnly)
            return result.json ? printJSON(try prepared.json(explanation, nil)) : ()
        }
        let seconds = try prepared.expectedStageSeconds()
        report(prepared.times(seconds))
        try prepared.check()
        if result.json { printJSON(try prepared.json(explanation, seconds)) }
    }

    /// Says that the run has ended before.
    private func tell(_ finished: (steps: Int, tokens: Int), output: String) throws {
        if let step = result.atStep {
            throw UserFacingError(
                .request,
                """
                \(output): this run is finished, and --at-step \(step) goes on with one that is not; begin another with \
                --from \(output).run/step-… where its checkpoints were kept
                """)
        }
        report(
            "\(output): this run is finished, after \(finished.steps) steps; there is nothing to go on with")
        if result.json {
            printJSON(
                [
                    "output": .string(output), "steps": JSON(finished.steps), "tokens": JSON(finished.tokens),
                    "loss": .null, "sources": .null, "before": [:], "after": [:], "parent": .null,
                    "healed": [:], "drift": [],
                    "taught": .null, "distilled_rows": [],
                ])
        }
    }
}
