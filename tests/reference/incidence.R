# Reference values for Kaplan-Meier, Aalen-Johansen and Fine-Gray. Run in this folder: Rscript incidence.R
suppressMessages({library(survival); library(cmprsk)})

rows <- list()
emit <- function(model, quantity, term, value) {
  rows[[length(rows) + 1]] <<- data.frame(model = model, quantity = quantity, term = as.character(term),
                                          value = sprintf("%.17g", value))
}
mgus2 <- read.csv("mgus2.csv")
mgus2$time <- ifelse(mgus2$pstat == 1, mgus2$ptime, mgus2$futime)
mgus2$cause <- ifelse(mgus2$pstat == 1, 1, 2 * mgus2$death)
mgus2$status <- factor(mgus2$cause, 0:2, c("none", "pcm", "death"))
mgus2$w <- 0.5 + mgus2$id %% 5 / 4
mgus2$entry <- pmin(mgus2$id %% 7 * 3, mgus2$time - 0.5)
mgus2$block <- mgus2$id %% 40

times <- c(1, 12, 60, 120, 240, 360)
survival <- function(name, fit) {
  s <- summary(fit, times = times, extend = TRUE)
  group <- if (is.null(s$strata)) "all" else sub(".*=", "", as.character(s$strata))
  term <- paste(group, s$time, sep = "@")
  for (quantity in c("n.risk", "surv", "std.err", "lower", "upper")) emit(name, quantity, term, s[[quantity]])
}
incidence <- function(name, fit) {
  s <- summary(fit, times = times, extend = TRUE)
  group <- if (is.null(s$strata)) "all" else sub(".*=", "", as.character(s$strata))
  for (cause in 1:2) {
    term <- paste(group, s$time, cause, sep = "@")
    for (quantity in c("pstate", "std.err", "lower", "upper")) emit(name, quantity, term, s[[quantity]][, cause + 1])
  }
}
survival("km", survfit(Surv(futime, death) ~ sex, mgus2, conf.type = "log-log"))
survival("km_weights", survfit(Surv(futime, death) ~ 1, mgus2, weights = w, robust = TRUE, conf.type = "log-log"))
survival("km_entry", survfit(Surv(entry, time, death) ~ 1, mgus2, conf.type = "log-log"))
survival("km_cluster", survfit(Surv(futime, death) ~ 1, mgus2, cluster = block, conf.type = "log-log"))
incidence("aj", survfit(Surv(time, status) ~ sex, mgus2, conf.type = "log-log"))
incidence("aj_weights", survfit(Surv(time, status) ~ 1, mgus2, weights = w, id = id, conf.type = "log-log"))
incidence("aj_entry", survfit(Surv(entry, time, status) ~ 1, mgus2, weights = w, id = id, conf.type = "log-log"))
# survfit 3.5-3 returns the errors of independent rows whatever `cluster` says, so sum its influences by cluster here;
# their first time is the origin.
f <- survfit(Surv(time, status) ~ 1, mgus2, id = id, influence = TRUE)
for (t in times) {
  at <- findInterval(t, f$time) + 1
  emit("aj_cluster", "std.err", paste("all", t, 1:2, sep = "@"),
       sqrt(colSums(rowsum(f$influence.pstate[, at, ], mgus2$block)^2))[2:3])
}
rmst <- summary(survfit(Surv(futime, death) ~ sex, mgus2), rmean = 120)$table
emit("rmst", "estimate", c("F", "M"), rmst[, "rmean"])
emit("rmst", "std_error", c("F", "M"), rmst[, "se(rmean)"])
years <- summary(survfit(Surv(time, status) ~ sex, mgus2), rmean = 120)$table
emit("time_lost", "estimate", rownames(years), years[, "rmean"])

# Fine-Gray: cmprsk with its own variance, and the weighted data set of survival with Breslow ties.
complete <- mgus2[!is.na(mgus2$hgb) & !is.na(mgus2$mspike), ]
x <- cbind(age = complete$age, sexM = as.numeric(complete$sex == "M"), hgb = complete$hgb, mspike = complete$mspike)
for (of in 1:2) {
  f <- crr(complete$time, complete$cause, x, failcode = of, cencode = 0, gtol = 1e-12, maxiter = 50)
  emit(paste0("crr_", of), "estimate", colnames(x), f$coef)
  emit(paste0("crr_", of), "std_error", colnames(x), sqrt(diag(f$var)))
  emit(paste0("crr_", of), "log_likelihood", c("null", "fit"), c(f$loglik.null, f$loglik))
  p <- predict(f, rbind(c(60, 0, 13, 1), c(80, 1, 11, 2)))
  at <- findInterval(c(12, 60, 120), p[, 1])
  for (i in 1:2) emit(paste0("crr_", of), "incidence", paste(i, c(12, 60, 120), sep = "@"), p[at, i + 1])
}
tight <- coxph.control(eps = 1e-14, toler.chol = 1e-15, iter.max = 50)
for (ties in c("breslow", "efron")) {
  g <- finegray(Surv(time, factor(cause, 0:2)) ~ ., complete[c("time", "cause", "age", "sex", "hgb", "mspike", "id")],
                etype = 1)
  f <- coxph(Surv(fgstart, fgstop, fgstatus) ~ age + sex + hgb + mspike, g, weights = fgwt, ties = ties, cluster = id,
             control = tight)
  emit(paste0("finegray_", ties), "estimate", names(coef(f)), coef(f))
  emit(paste0("finegray_", ties), "naive", names(coef(f)), sqrt(diag(f$naive.var)))
  emit(paste0("finegray_", ties), "robust", names(coef(f)), sqrt(diag(f$var)))
}
# Cause-specific Cox regressions and the incidence they imply together.
complete$status <- factor(complete$cause, 0:2, c("none", "pcm", "death"))
# With several causes coxph takes any `ties` that is given for Breslow's; Efron's is what it does by itself.
for (ties in c("efron", "breslow")) {
  f <- if (ties == "efron") coxph(Surv(time, status) ~ age + sex + hgb, complete, id = id, control = tight) else
    coxph(Surv(time, status) ~ age + sex + hgb, complete, id = id, ties = ties, control = tight)
  name <- paste0("cause_specific_", ties)
  emit(name, "estimate", rep(c("age", "sexM", "hgb"), 2), coef(f))
  emit(name, "naive", rep(c("age", "sexM", "hgb"), 2), sqrt(diag(f$naive.var)))
  s <- survfit(f, newdata = data.frame(age = c(60, 80), sex = c("F", "M"), hgb = c(13, 11)), se.fit = FALSE)
  at <- findInterval(c(12, 60, 120), s$time)
  for (i in 1:2) for (cause in 1:2)
    emit(name, "incidence", paste(i, c(12, 60, 120), cause, sep = "@"), s$pstate[at, i, cause + 1])
}
emit(paste("R", getRversion(), "survival", packageVersion("survival"), "cmprsk", packageVersion("cmprsk")),
     "version", "", 0)
write.csv(do.call(rbind, rows), "incidence.csv", row.names = FALSE, quote = TRUE)
