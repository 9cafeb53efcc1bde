import ArgumentParser
import CommandLineSupport
import Formats
import Trainer

struct Mix: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mix",
        abstract: "Propose how much of the new domain and of the original one to train on.",
        discussion: """
            Trains the model at hand shortly at five shares or more of the new domain (--data; the rest is --replay), each for \
            --trial-steps at a constant rate, and evaluates the sets on the way. The D-CPT law (arXiv 2406.01375) is fitted to \
            each set, foretells --budget tokens, and the share is taken that is best for the new domain while the original \
            one is at most --tolerance worse than it could be. Where a law does not foretell trials that it has not \
            seen, no share is proposed.

              trainer mix my-model-dus-48 --data ko=korean.jsonl --replay en=english.jsonl \\
                --eval ko=korean.val.jsonl en=english.val.jsonl --budget 2000000000 --lr 5e-5 -o mixed.yaml
              surgery run mixed.yaml

            Options of reading, portions and the optimizer are those of trainer heal, and should be those of the run to \
            come; --schedule with its numbers, --parent and --no-parent count in that run alone. --ids, --from-scratch, --seam ramp and \
            --ramp-share can't be tried and are refused. OUT.yaml is a recipe of that run. What each trial has found is kept in \
            OUT.yaml.run/trials.json: the same command goes on where it was stopped, and other shares, another budget or other names of \
            the same sets try nothing twice.

            \(TextArguments.storedFiles). Pipes and standard input are refused, for texts are read for every trial, and by the recipe.

            With --json: share, trials, laws, errors, forecast.
            """)

    @Argument(help: "The model's folder.") var model = "."
    @OptionGroup(title: "Data") var data: HealData
    @OptionGroup(title: "Reading of text") var text: TextArguments
    @Option(help: ArgumentHelp("Tokens that the run to come trains on.", valueName: "count"))
    var budget: Int
    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("The shares of the new domain to try, five at least.", valueName: "share"))
    var shares = MixtureRequest.usualShares
    @Option(help: ArgumentHelp("Optimizer steps of a trial.", valueName: "count"))
    var trialSteps = MixtureRequest.usualSteps
    @Option(
        help: ArgumentHelp(
            "By how much the original domain may be worse than at the share that is best for it.",
            valueName: "part"))
    var tolerance = MixtureRequest.usualTolerance
    @OptionGroup(title: "Portions") var batches: HealBatches
    @OptionGroup(title: "Optimizer") var optimizer: HealOptimizer
    @Option(name: .shortAndLong, help: ArgumentHelp("The recipe to write.", valueName: "file.yaml"))
    var output: String
    @Flag(help: "Replace the output when it exists.") var force = false
    @OptionGroup var compute: ComputeOptions
    @Flag(help: "Print one JSON object on standard output at the end.") var json = false

    private var request: MixtureRequest {
        var job = TrainingJob()
        job.take(data, text)
        job.take(batches)
        job.take(optimizer)
        var request = MixtureRequest(job, budget: budget)
        (request.shares, request.steps, request.tolerance) = (shares, trialSteps, tolerance)
        return request
    }

    func validate() throws {
        do { try request.check(prefix: "--") } catch { throw ValidationError("\(error)") }
        guard output.hasSuffix(".yaml") else {
            throw ValidationError("the name of the output must end in .yaml, unlike '\(output)'")
        }
        try refuseModels(among: request.job.files)
    }

    func run() throws {
        try runReportingErrors {
            Interruption.watch()
            try requireModel(model)
            var options = RunOptions()
            (options.threads, options.force) = (compute.count, force)
            let search = try MixtureSearch(request, on: model, to: output, options: options) {
                Interruption.signal != nil
            }
            for warning in search.warnings { warn(warning) }
            let time =
                try search.expectedSeconds().map { ", each about \(Units.duration(seconds: $0))" } ?? ""
            report(
                """
                \(shares.count) trials of \(Units.grouped(search.tokens)) tokens\(time) and its evaluations; \
                \(Units.bytes(search.memory.total)) of memory
                """)
            var line = ProgressLine()
            defer { line.clear() }
            let proposal = try search(isCancelled: { Interruption.signal != nil }) { trial, step in
                line.update("trial \(trial + 1) of \(shares.count): step \(step) of \(trialSteps)")
            }
            line.clear()
            if json { printJSON(try proposal.json) } else { show(proposal) }
            guard proposal.share != nil else { throw UserFacingError.noMixture(proposal) }
            report("wrote \(output)")
        }
    }

    private func show(_ proposal: MixtureProposal) {
        var table = Table(
            columns: [("share", .right)] + proposal.laws.map { ($0.set, .right) })
        for trial in proposal.trials {
            table.add(
                [Units.plain(trial.share)]
                    + proposal.laws.map {
                        Units.fixed(trial.stops.last?.bitsPerByte[$0.set] ?? .nan, digits: 4)
                    })
        }
        report(
            "bits per byte after \(Units.grouped(proposal.trials.first?.stops.last?.tokens ?? 0)) tokens\n\(table)\n"
        )
        for error in proposal.errors {
            report(
                """
                \(error.set): a trial left out is foretold within \(Units.fixed(error.error * 100, digits: 2)) %, by the mean \
                of the others within \(Units.fixed(error.guess * 100, digits: 2)) %
                """)
        }
        var told = Table(columns: [("share", .right), ("new domain", .right), ("original", .right)])
        let shown = Set(proposal.trials.map(\.share) + (1...9).map { Double($0) / 10 })
        for row in proposal.forecast where row.share == proposal.share || shown.contains(row.share) {
            told.add(
                Units.plain(row.share) + (row.share == proposal.share ? " <" : ""),
                Units.fixed(row.new, digits: 4), Units.fixed(row.original, digits: 4))
        }
        report("\nforetold after \(Units.grouped(budget)) tokens\n\(told)")
    }
}
