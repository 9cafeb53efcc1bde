import ArgumentParser
import CommandLineSupport
import Formats
import Trainer

struct Report: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report",
        abstract: "Make a page of a run, or of several beside each other.",
        discussion: """
            The page has the curves of loss, learning rate, gradient norm and tokens a second, the evaluation sets before, on the way \
            and after beside their parent's, what was shown of each source and how often new tokens were seen, how far each layer has \
            moved, groups, memory, stages, checkpoints and warnings, the job and the surgery before it; of several runs also what they \
            have forgotten where they have learned the same. It is one file of HTML that needs neither network nor scripts, with a \
            table beside every picture.

              trainer report deep-model-healed -o page.html
              trainer report first second -o both.html
              trainer eval base --data en=english.val.jsonl --json > base.json
              trainer report deep-model-healed --parent base.json

            RUN is a healed model's folder, beside which OUT.run lies with the run's record; or OUT.run itself, also while the \
            run goes on; or a file of --log, which has the steps alone.

            With --json: "output", "runs": a list with of each "run" (its name), "steps", "tokens", "loss" (of the last step).
            """)

    @Argument(help: ArgumentHelp("What trainer heal left.", valueName: "run")) var runs: [String]
    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("The page (default: RUN-report.html beside the first run).", valueName: "file"))
    var output: String?
    @Option(
        help: ArgumentHelp(
            "What trainer eval --json printed of the model to compare the sets with, in place of what the run has measured.",
            valueName: "file"))
    var parent: String?
    @Flag(help: "Replace the page.") var force = false
    @Flag(help: "Print one JSON object on standard output.") var json = false

    func validate() throws {
        guard runs.count <= RunPage.mostRuns else {
            throw ValidationError("one page has room for \(RunPage.mostRuns) runs, not \(runs.count)")
        }
    }

    func run() throws {
        try runReportingErrors {
            let page = output ?? OutputPath.beside(runs[0], suffix: "report.html")
            guard force || FileSystem.kind(of: page) == nil else {
                throw ValidationError("\(page) exists; give another name, or --force to replace it")
            }
            let records = try runs.map { try RunHistory.file(of: $0) }
            try TextPaths.check(page, apartFrom: runs + records + [parent].compactMap(\.self))
            var histories: [RunHistory] = []
            for path in runs { histories.append(try RunHistory.find(path)) }
            let parents = try parent.map(EvaluationResult.read) ?? []
            try AtomicFile(path: page).publish(RunPage(histories, parents: parents).html)
            report("wrote \(page)")
            if json {
                printJSON([
                    "output": .string(page),
                    "runs": .array(
                        histories.map { history in
                            [
                                "run": .string(history.run), "steps": JSON(history.steps.last?.step ?? 0),
                                "tokens": JSON(history.steps.last?.tokens ?? 0),
                                "loss": history.steps.last.map { JSON($0.loss) } ?? .null,
                            ]
                        }),
                ])
            }
        }
    }
}
