// Package forecast says how long somebody in the line will wait, as a median and a 90th percentile that keep their word. It is pure: it knows
// neither database nor clock, and equal history, line and seed give equal answers.
//
// # The model
//
// One [Model] learns one way of service (automatic, or by operators) from what a hub records: arrivals, services that ended, and what became of
// its own forecasts. Asked about a [Line] it lives through it 199 times, each time with other luck, and reads the quantiles off: rank q·(S+1) of
// S scenarios has coverage q exactly if the scenarios are drawn from the truth. In each scenario
//
//   - who is in service needs the rest of a time drawn from those longer than what has passed (conditional residual life);
//   - service times are drawn from the last 2,000 measured of the same plan: linear between the order statistics, a generalised Pareto tail
//     beyond the last (Pickands 1975; probability-weighted moments, Hosking and Wallis 1987). A plan with fewer than 30 leans on all of them;
//   - each plan's mean is off by a factor exp(N(0, s²)) with s² = cv²·v/n: what n samples cannot tell, so few samples make wide forecasts.
//     v ≥ 1 is the inflation by correlation;
//   - the samples are brought to the level of now: up to four sudden changes are found by the largest two-sample t of the logarithms (t ≥ 4.2,
//     binary segmentation: Scott and Knott 1974), and a slow common level, if their autocorrelation is significant, is followed by a Kalman
//     filter over ln x = a + e, a' = φ·a + noise;
//   - arrivals of higher classes are lived through again from a moment of the past (circular block bootstrap, Politis and Romano 1992),
//     preferably one like now where the record shows that the recent rate, or the hour, tells the coming one: so storms stay storms;
//   - the servers follow the announced schedule; one who leaves finishes the customer at hand.
//
// The first 28 to 64 customers are served one by one, the more the more servers there are. Further down a stretch of n services is one draw, lognormal with the moments n·m and n·s²·v,
// divided by the servers; so a place among a million costs as much as one among a hundred. [Model.Curve] computes a whole line at about
// forty places a class and interpolates.
//
// Quantiles are then corrected by the model's own record (adaptive conformal inference, Gibbs and Candès 2021): see calibrate.go. This makes
// up, slowly, for what the model gets wrong about a world it was not made for.
//
// Below [MinSamples] services the basis is [Prior]: a lognormal by the stated P50 and P90, half of its variance doubt about the level, which the
// few samples already reduce (normal conjugate update of ln x). With no server and none announced the basis is [Unknown].
//
// # Limits
//
//   - Changes without a word are learned when their effect is seen: those who wait meanwhile were told too little.
//   - Customers who leave the line are not foreseen; neither are failures that go back into it.
//   - Classes are strict. Ageing (QUEUE_AGING) has to be told as the classes in the Line that are in force; later rises are not foreseen.
//   - Times are at most ten years; a mean that does not exist (Pareto with α ≤ 1) is drawn in at ξ = 0.8.
//   - If higher classes alone overload the servers, the lower ones' times say little: no more than twenty overtakers for each one ahead are
//     believed.
//   - Who waits together errs together: where the line only grows (load above 1), 5,000 customers
//     are worth some ten independent ones, and the coverage of a single such world was seen from 0.80 to 0.91.
package forecast
