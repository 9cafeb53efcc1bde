import Formats
import Foundation
import TestSupport
import Testing

@testable import Trainer

@Suite("Mixtures") struct MixtureTests {
    private static let shares = [0.1, 0.3, 0.5, 0.7, 0.9]
    private static let learned = law(e: 0.9, b: 0.12, eta: 0.3, beta: 0.4, c: 0.05, gamma: 0.8, epsilon: 0.02)
    /// What is shown little of is forgotten with every token.
    private static let kept = law(e: 1.5, b: -0.1, eta: 0.2, beta: 0.5, c: 0.03, gamma: 0.5, epsilon: 0.1)

    private static func law(
        e: Double, b: Double, eta: Double, beta: Double, c: Double, gamma: Double, epsilon: Double
    ) -> MixtureLaw {
        let text =
            #"{"e":\#(e),"b":\#(b),"eta":\#(eta),"beta":\#(beta),"c":\#(c),"gamma":\#(gamma),"epsilon":\#(epsilon)}"#
        do { return try JSON(parsing: Array(text.utf8), file: "law").decoded(as: MixtureLaw.self) } catch {
            preconditionFailure("\(error)")
        }
    }

    private static func trials(
        _ shares: [Double] = shares, _ noise: (Int) -> Double = { _ in 0 }
    ) -> [MixtureTrial] {
        var count = 0
        func value(_ law: MixtureLaw, _ share: Double, _ tokens: Int) -> Double {
            count += 1
            return law.loss(share: share, millions: Double(tokens) / 1e6) * (1 + noise(count))
        }
        return shares.map { share in
            MixtureTrial(
                share: share,
                stops: [50_000, 100_000, 150_000, 200_000].map {
                    .init(
                        tokens: $0,
                        bitsPerByte: ["ko": value(learned, share, $0), "en": value(kept, 1 - share, $0)])
                })
        }
    }

    private static func request(budget: Int = 2_000_000, steps: Int = 8) -> MixtureRequest {
        var job = TrainingJob()
        job.data = [TextSource(name: "ko", path: example("data/korean.train.jsonl"), weight: 3)]
        job.replay = [TextSource(name: "en", path: example("data/english.train.jsonl"), isReplay: true)]
        job.eval = [
            TextSource(name: "ko", path: example("data/korean.val.jsonl")),
            TextSource(name: "en", path: example("data/english.val.jsonl")),
        ]
        (job.batch, job.length, job.lr) = (1, 32, 1e-3)
        var request = MixtureRequest(job, budget: budget)
        request.steps = steps
        return request
    }

    /// What a law has made is foretold at shares and lengths that nobody has seen.
    @Test(arguments: [learned, kept])
    func aLawIsFoundAgain(_ law: MixtureLaw) {
        let points = Self.shares.flatMap { share in
            [0.05, 0.1, 0.15, 0.2].map {
                MixtureLaw.Point(share: share, millions: $0, loss: law.loss(share: share, millions: $0))
            }
        }
        let found = MixtureLaw(fitting: points)
        for point in points {
            #expect(abs(found.loss(share: point.share, millions: point.millions) / point.loss - 1) < 5e-4)
        }
        for share in [0.2, 0.6, 0.85] {
            let told = found.loss(share: share, millions: 0.4)
            #expect(abs(told / law.loss(share: share, millions: 0.4) - 1) < 3e-3)
        }
    }

    /// The share is the best for the new domain of those that the tolerance leaves.
    @Test(arguments: [0, 0.005, 0.02, 1])
    func theToleranceDecides(_ tolerance: Double) throws {
        var request = Self.request(budget: 400_000)
        request.tolerance = tolerance
        let proposal = MixtureProposal(request, Self.trials())
        let share = try #require(proposal.share)
        let best = try #require(proposal.forecast.map(\.original).min())
        let chosen = try #require(proposal.forecast.first { $0.share == share })
        #expect(chosen.original <= best * (1 + tolerance))
        for row in proposal.forecast where row.original <= best * (1 + tolerance) {
            #expect(row.new >= chosen.new)
        }
        #expect(proposal.forecast.first?.share == 0.1 && proposal.forecast.last?.share == 0.9)
        let sum = request.proposed(share).sources.reduce(0) { $0 + $1.weight }
        #expect(abs(sum - 1) < 1e-12 && abs(request.proposed(share).data[0].weight - share) < 1e-12)
    }

    /// The recipe is the run that is proposed, and its files are found from wherever it lies.
    @Test func theRecipeIsTheRun() throws {
        var request = Self.request(budget: 400_000)
        request.job.data[0].path = "texts/ko.jsonl"
        let proposal = MixtureProposal(request, Self.trials())
        let recipe = try YAMLNode(
            parsing: #require(proposal.recipe(model: "/models/base")), file: "mixed.yaml")
        #expect(recipe["model"]?.json == "/models/base")
        let steps = try #require(recipe["steps"]?.list)
        #expect(steps.count == 1)
        let found = try TrainingJob(
            parameters: #require(steps[0]["heal"]?.json.object), from: "/elsewhere", at: { $0 ?? "" })
        var expected = request.proposed(try #require(proposal.share))
        expected.data[0].path = Path.absolute("texts/ko.jsonl")
        #expect(found.parameters == expected.parameters)
    }

    /// Where trials do not follow a law, nothing is proposed.
    @Test func whatIsNotForetoldIsNotProposed() {
        var generator = SplitMix64(seed: 3)
        let proposal = MixtureProposal(
            Self.request(), Self.trials { _ in Double.random(in: -0.3...0.3, using: &generator) })
        #expect(proposal.share == nil && proposal.recipe(model: "base") == nil)
        #expect("\(UserFacingError.noMixture(proposal))".contains("no share is proposed"))
    }

    /// A few documents, which are enough for what is tested.
    private static func shortened(_ request: MixtureRequest, in temporary: TemporaryFolder) throws
        -> MixtureRequest
    {
        func shorten(_ source: inout TextSource, to count: Int, _ name: String) throws {
            let lines = try String(contentsOfFile: source.path, encoding: .utf8).split(separator: "\n")
            source.path = try temporary.write(name, lines.prefix(count).joined(separator: "\n") + "\n")
        }
        var request = request
        try shorten(&request.job.data[0], to: 10, "ko.jsonl")
        try shorten(&request.job.replay[0], to: 10, "en.jsonl")
        try shorten(&request.job.eval[0], to: 1, "ko.val.jsonl")
        try shorten(&request.job.eval[1], to: 1, "en.val.jsonl")
        return request
    }

    /// What a search has tried, and what follows; with an error where it was stopped.
    private struct Outcome {
        var tried: Set<Int> = []
        var proposal: MixtureProposal?
        var error: UserFacingError?
    }

    private static func search(
        _ request: MixtureRequest, to output: String, _ options: RunOptions, stopAfter limit: Int = .max
    ) throws -> Outcome {
        var (outcome, steps) = (Outcome(), 0)
        let search = try MixtureSearch(request, on: example("base"), to: output, options: options)
        do {
            outcome.proposal = try search(isCancelled: { steps >= limit }) { trial, _ in
                outcome.tried.insert(trial)
                steps += 1
            }
        } catch let error as UserFacingError {
            guard error.isInterruption else { throw error }
            outcome.error = error
        }
        return outcome
    }

    /// Trials that are done are not done again, after a stop, at another budget and with more shares.
    @Test func nothingIsTriedTwice() throws {
        let temporary = try TemporaryFolder()
        let output = temporary.path("mixed.yaml")
        var options = RunOptions()
        func trained(_ request: MixtureRequest, stopAfter limit: Int = .max) throws -> Outcome {
            try Self.search(request, to: output, options, stopAfter: limit)
        }
        var request = try Self.shortened(Self.request(), in: temporary)
        let none = try trained(request, stopAfter: 3)
        #expect(none.error?.message == "stopped before a trial was done; begin again")
        let stopped = try trained(request, stopAfter: 20)
        #expect(stopped.tried == [0, 1, 2] && !FileSystem.exists(output))
        #expect(
            stopped.error?.message
                == "stopped after 2 of 5 trials, which are kept; the same command goes on")
        let rest = try trained(request)
        #expect(rest.tried == [2, 3, 4])
        options.force = true
        options.threads = 2
        request.budget *= 2
        let all = try trained(request)
        #expect(all.tried.isEmpty && all.proposal?.trials == rest.proposal?.trials)
        request.shares.append(0.6)
        #expect(try trained(request).tried == [5])
        request.job.lr = 5e-4
        #expect(try trained(request).tried == [0, 1, 2, 3, 4, 5])
    }

    /// A text keeps its numbers whatever it is called and wherever it stands, and is not tried again for that.
    @Test func aTextKeepsItsNumbers() throws {
        let temporary = try TemporaryFolder()
        let output = temporary.path("mixed.yaml")
        var options = RunOptions()
        options.force = true
        var request = try Self.shortened(Self.request(), in: temporary)
        let first = try #require(try Self.search(request, to: output, options).proposal)
        func values(_ proposal: MixtureProposal, _ set: String) -> [Double] {
            proposal.trials.flatMap { $0.stops.compactMap { $0.bitsPerByte[set] } }
        }
        let (korean, english) = (values(first, "ko"), values(first, "en"))
        #expect(korean.count == 20 && english.count == 20 && korean != english)
        for (new, original) in [("en", "ko"), ("korean", "en")] {
            (request.job.eval[0].name, request.job.eval[1].name) = (new, original)
            request.job.replay[0].name = original
            request.job.data[0].name = "new"
            request.job.eval.reverse()
            let outcome = try Self.search(request, to: output, options)
            request.job.eval.reverse()
            let proposal = try #require(outcome.proposal)
            #expect(outcome.tried.isEmpty)
            #expect(values(proposal, new) == korean && values(proposal, original) == english)
            #expect(proposal.trials.allSatisfy { $0.stops.allSatisfy { $0.bitsPerByte.count == 2 } })
        }
        // What was damaged, or is of another version, is named.
        let path = temporary.path("mixed.yaml.run/trials.json")
        let kept = try String(contentsOfFile: path, encoding: .utf8)
        for (old, new, words) in [
            ("bits_per_byte\": {", "bits_per_byte\": {\"x\": 1, ", nil),
            ("\"tokens\"", "\"token\"", "remove it to try all shares again"),
            ("trials 2", "trials 1", "its format is 'model-surgery trials 1'"),
        ] as [(String, String, String?)] {
            try temporary.write("mixed.yaml.run/trials.json", kept.replacingOccurrences(of: old, with: new))
            guard let words else {
                #expect(try Self.search(request, to: output, options).tried.isEmpty)
                continue
            }
            let error = #expect(throws: UserFacingError.self) {
                try Self.search(request, to: output, options)
            }
            #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
        }
    }

    /// What a plan warns of is told before a trial begins, once, and with the share where it is not of all.
    @Test func warningsAreToldOnce() throws {
        let temporary = try TemporaryFolder()
        var request = try Self.shortened(Self.request(steps: 4_000), in: temporary)
        request.job.warmup = 5_000
        let warnings = try MixtureSearch(
            request, on: example("base"), to: temporary.path("mixed.yaml"), options: RunOptions()
        ).warnings
        #expect(Set(warnings).count == warnings.count)
        let warmup = warnings.filter { $0.contains("the rate never reaches --lr") }
        #expect(warmup.count == 1 && warmup[0].hasPrefix("--warmup 5000"), "\(warnings)")
        #expect(warnings.contains { $0.hasPrefix("at the share 0.9: ") }, "\(warnings)")
    }

    /// Shares that no hundredth is between are foretold themselves, and so are the outer ones that no hundredth equals.
    @Test(arguments: [
        [0.101, 0.102, 0.103, 0.104, 0.105], [0.07, 0.1, 0.2, 0.3, 0.57], [0.071, 0.1, 0.2, 0.3, 0.575],
    ])
    func sharesThatWereTriedAreForetold(_ shares: [Double]) throws {
        var request = Self.request(budget: 400_000)
        request.shares = shares
        let proposal = MixtureProposal(request, Self.trials(shares))
        let told = proposal.forecast.map(\.share)
        #expect(told.first == shares.first && told.last == shares.last)
        #expect(told == Set(told).sorted() && Set(shares).isSubset(of: told))
        #expect(told.count == (shares[4] < 0.2 ? 5 : shares[0] == 0.07 ? 51 : 52))
        // What is proposed is said as it is.
        if let share = proposal.share, let recipe = proposal.recipe(model: "base") {
            #expect(recipe.contains("proposes: \(Units.plain((share * 1e5).rounded() / 1e3)) % of"))
        }
        #expect(shares[4] > 0.2 || !(proposal.recipe(model: "base") ?? "").contains(": 10 %"))
    }

    /// The schedule and the parent are the run's; a trial has a constant rate and no parent.
    @Test func theScheduleIsTheRuns() throws {
        let changes: [(inout TrainingJob) -> Void] = [
            { ($0.schedule, $0.pieces) = (.joined, ["linear 100 0-1", "sqrt rest 1-0.1"]) },
            { ($0.schedule, $0.holdRatio, $0.cooldownShare) = (.infinite, 0.4, 0.3) },
            { $0.schedule = .sqrt },
            { $0.minLrRatio = 0 },
            { $0.parent = "before" },
            { $0.noParent = true },
        ]
        let plain = Self.request().trial(0.5)
        for change in changes {
            var request = Self.request(budget: 400_000)
            change(&request.job)
            try request.check(prefix: "--")
            #expect(request.trial(0.5) == plain)
            try request.trial(0.5).check()
            let proposal = MixtureProposal(request, Self.trials())
            let recipe = try YAMLNode(parsing: #require(proposal.recipe(model: "/base")), file: "mixed.yaml")
            let found = try TrainingJob(
                parameters: #require(recipe["steps"]?.list?[0]["heal"]?.json.object), from: "/elsewhere",
                at: { $0 ?? "" })
            var expected = request.proposed(try #require(proposal.share))
            expected.parent = expected.parent.map(Path.absolute)
            #expect(found.parameters == expected.parameters)
        }
    }

    @Test func whatCantBeIsRefused() {
        let changes: [(String, (inout MixtureRequest) -> Void)] = [
            ("--replay is missing", { $0.job.replay = [] }),
            ("--data is missing", { $0.job.data = [] }),
            ("no set of --eval is of the original domain", { $0.job.eval.removeLast() }),
            ("every set of --eval is of the original domain", { $0.job.eval.removeFirst() }),
            ("five different ones", { $0.shares = [0.1, 0.1, 0.2, 0.3, 0.4] }),
            ("from 0.001 to 0.999", { $0.shares = [0, 0.1, 0.2, 0.3, 0.4] }),
            ("--budget must be", { $0.budget = 0 }),
            ("--tolerance must be", { $0.tolerance = -0.1 }),
            ("--seam ramp can't be tried", { $0.job.seam = .ramp }),
            ("--ramp-share can't be tried", { $0.job.rampShare = 0.2 }),
            ("--ids can't be tried", { $0.job.ids = "rows.safetensors" }),
            ("--from-scratch can't be tried", { $0.job.fromScratch = true }),
            ("--teacher can't be tried", { $0.job.teacher = "parent" }),
            ("--trial-steps must be from 8 to", { $0.steps = 4 }),
            ("standard input can be read only once", { $0.job.data[0].path = "-" }),
            ("/dev/null can be read only once", { $0.job.eval[1].path = "/dev/null" }),
            ("--parent names a model and --no-parent", { ($0.job.parent, $0.job.noParent) = ("a", true) }),
            ("give --pieces with --schedule joined", { $0.job.schedule = .joined }),
            ("--hold-ratio and --cooldown-share are", { $0.job.holdRatio = 0.3 }),
        ]
        for (words, change) in changes {
            var request = Self.request()
            change(&request)
            let error = #expect(throws: UserFacingError.self) { try request.check(prefix: "--") }
            #expect("\(error.map { "\($0)" } ?? "")".contains(words))
        }
    }
}
