public import Formats

/// What trials say of each share: a law of each set, how well it foretells a trial that it has not seen, and the share that
/// follows.
public struct MixtureProposal: Sendable {
    /// What was tried, by share.
    public let trials: [MixtureTrial]
    /// The law of each set, by its name.
    public let laws: [(set: String, isNew: Bool, law: MixtureLaw)]
    /// The mean relative distance at its end between a trial and what the others foretell of it, by set: by their law, and by the
    /// mean of their ends.
    public let errors: [(set: String, error: Double, guess: Double)]
    /// The share of the new domain that is proposed; nil where a law does not hold.
    public let share: Double?
    /// What is foretold at the budget, share by share: the mean of the new domain's sets, and that of the original one's.
    public let forecast: [(share: Double, new: Double, original: Double)]

    private let request: MixtureRequest

    /// Fits the laws and takes the share with which the new domain is best among those that leave the original one within
    /// the tolerance.
    ///
    /// Among the shares that were tried and the hundredths between them: what is outside nobody has seen.
    init(_ request: MixtureRequest, _ trials: [MixtureTrial]) {
        let trials = trials.sorted { $0.share < $1.share }
        (self.request, self.trials) = (request, trials)
        let millions = Double(request.budget) / 1e6
        let new = request.newSets
        laws = request.job.eval.map { set in
            let isNew = new.contains(set.name)
            return (
                set.name, isNew, MixtureLaw(fitting: trials.flatMap { $0.points(set.name, isNew: isNew) })
            )
        }
        errors = request.job.eval.map { set in
            let isNew = new.contains(set.name)
            var (errors, guesses) = ([Double](), [Double]())
            // The first and last share would be told from one side.
            for left in trials.dropFirst().dropLast() {
                let others = trials.filter { $0 != left }.map { $0.points(set.name, isNew: isNew) }
                guard let end = left.points(set.name, isNew: isNew).last else { continue }
                let told = MixtureLaw(fitting: others.flatMap(\.self)).loss(
                    share: end.share, millions: end.millions)
                errors.append(abs(told / end.loss - 1))
                let ends = others.compactMap(\.last?.loss)
                guesses.append(abs(ends.reduce(0, +) / Double(ends.count) / end.loss - 1))
            }
            let count = Double(errors.count)
            return (set.name, errors.reduce(0, +) / count, guesses.reduce(0, +) / count)
        }
        let tried = trials.map(\.share)
        let hundredths = (1...99).map { Double($0) / 100 }.filter {
            (tried.first ?? 1)...(tried.last ?? 1) ~= $0
        }
        let laws = laws
        func mean(_ isNew: Bool, _ share: Double) -> Double {
            let values = laws.filter { $0.isNew == isNew }.map {
                $0.law.loss(share: isNew ? share : 1 - share, millions: millions)
            }
            return values.reduce(0, +) / Double(values.count)
        }
        let forecast = Set(tried + hundredths).sorted().map { share in
            (share: share, new: mean(true, share), original: mean(false, share))
        }
        self.forecast = forecast
        let best = forecast.map(\.original).min() ?? 0
        let allowed = forecast.filter { $0.original <= best * (1 + request.tolerance) }
        let isFinite = forecast.allSatisfy { $0.new.isFinite && $0.new > 0 && $0.original > 0 }
        share =
            isFinite && errors.allSatisfy { $0.error <= $0.guess / 2 }
            ? allowed.min { $0.new < $1.new }?.share : nil
    }

    /// The run that is proposed, as a recipe, whose values stand as JSON has them; nil where no share is.
    public func recipe(model: String) -> String? {
        guard let share else { return nil }
        var job = request.proposed(share)
        // A recipe's paths count from where it lies, which may be elsewhere.
        for list in [\TrainingJob.data, \.replay, \.eval] {
            for index in job[keyPath: list].indices {
                job[keyPath: list][index].path = Path.absolute(job[keyPath: list][index].path)
            }
        }
        job.parent = job.parent.map { Path.absolute((try? HubCache.path(of: $0)) ?? $0) }
        let lines = job.parameters.filter { $0.value != TrainingJob.defaults[$0.key] }.map { key, value in
            "      \(key): \(value.text)"
        }
        return """
            about: "The mixture that trainer mix proposes: \(Units.plain((share * 1e5).rounded() / 1e3)) % of the new domain."
            model: \(JSON.string(model).text)
            steps:
              - heal:
            \(lines.joined(separator: "\n"))

            """
    }

    /// All of it, for other programs.
    public var json: JSON {
        get throws {
            var (laws, errors) = (JSONObject(), JSONObject())
            for law in self.laws { laws[law.set] = try JSON(encoding: law.law) }
            for error in self.errors {
                errors[error.set] = ["left_out": JSON(error.error), "guess": JSON(error.guess)]
            }
            return [
                "share": share.map { JSON($0) } ?? .null, "trials": try JSON(encoding: trials),
                "laws": .object(laws), "errors": .object(errors),
                "forecast": .array(
                    forecast.map {
                        ["share": JSON($0.share), "new": JSON($0.new), "original": JSON($0.original)]
                    }),
            ]
        }
    }
}

extension MixtureTrial {
    /// What a law of a set is fitted on; the share is that of the set's own domain.
    fileprivate func points(_ set: String, isNew: Bool) -> [MixtureLaw.Point] {
        stops.compactMap { stop in
            stop.bitsPerByte[set].map {
                MixtureLaw.Point(
                    share: isNew ? share : 1 - share, millions: Double(stop.tokens) / 1e6, loss: $0)
            }
        }
    }
}

extension UserFacingError {
    /// Trials say nothing of what longer runs do.
    public static func noMixture(_ proposal: MixtureProposal) -> Self {
        let worst = proposal.errors.filter { $0.error > $0.guess / 2 }.map(\.set).joined(separator: ", ")
        return Self(
            .diverged,
            """
            no share is proposed: the law does not foretell trials that it has not seen (\(worst.isEmpty ? "at the budget" : worst)); \
            take longer trials (--trial-steps), more shares, or more text to evaluate on
            """)
    }
}
