# Reference values for binary regressions, least squares and clustered errors.
# Writes the data it uses (public: carData::Rossi, sandwich::PetersenCL, plm::Wages) and the results beside itself.
# Run from the root of the repository: Rscript tests/reference/binary_and_linear.R
suppressPackageStartupMessages({library(sandwich); library(carData); library(plm); library(jsonlite)})
here <- "tests/reference"
out <- list(versions = list(R = R.version.string, sandwich = as.character(packageVersion("sandwich")),
                            plm = as.character(packageVersion("plm"))))
se <- function(v) unname(sqrt(diag(v)))

# Rossi recidivism as person-periods of four weeks; groups by prior convictions and age are the second dimension.
data(Rossi)
rossi <- Rossi; rossi$id <- seq_len(nrow(rossi))
long <- do.call(rbind, lapply(seq_len(nrow(rossi)), function(i) {
  r <- rossi[i, ]; n <- ceiling(r$week / 4)
  data.frame(id = r$id, period = seq_len(n), event = as.integer(seq_len(n) == n & r$arrest == 1),
             fin = as.integer(r$fin == "yes"), age = r$age, race = as.character(r$race), wexp = as.integer(r$wexp == "yes"),
             mar = as.integer(r$mar == "married"), prio = r$prio)
}))
long$area <- (long$prio * 7 + long$age * 3) %% 29
long$weight <- 1 + (long$id %% 3)
write.csv(long, file.path(here, "rossi_periods.csv"), row.names = FALSE)
tight <- glm.control(epsilon = 1e-15, maxit = 200)
for (link in c("cloglog", "logit")) for (weighted in c(FALSE, TRUE)) {
  w <- if (weighted) long$weight else rep(1, nrow(long))
  long$w <- w
  fit <- glm(event ~ fin + age + race + mar + prio + factor(period), family = binomial(link), data = long,
             weights = w, control = tight)
  # glm reports weights of the step before the last; started at its own answer, they are those of the answer.
  for (again in 1:3) fit <- glm(event ~ fin + age + race + mar + prio + factor(period), family = binomial(link),
                                data = long, weights = w, control = tight, start = coef(fit))
  out[[paste0("glm_", link, if (weighted) "_weighted" else "")]] <- list(
    coef = unname(coef(fit)), naive = se(vcov(fit)), log_likelihood = as.numeric(logLik(fit)),
    id_none = se(vcovCL(fit, ~ id, cadjust = FALSE, type = "HC0")),
    id_sandwich = se(vcovCL(fit, ~ id)),
    both_sandwich = se(vcovCL(fit, ~ id + area)),
    both_none = se(vcovCL(fit, ~ id + area, cadjust = FALSE, type = "HC0")),
    row_none = se(vcovHC(fit, type = "HC0")))
}

# Petersen's test data: the usual check of two-way clustering.
data(PetersenCL)
write.csv(PetersenCL, file.path(here, "petersen.csv"), row.names = FALSE)
fit <- lm(y ~ x, data = PetersenCL)
out$petersen <- list(coef = unname(coef(fit)), naive = se(vcov(fit)), firm = se(vcovCL(fit, ~ firm)),
  year = se(vcovCL(fit, ~ year)), both = se(vcovCL(fit, ~ firm + year)),
  both_none = se(vcovCL(fit, ~ firm + year, cadjust = FALSE, type = "HC0")), row_none = se(vcovHC(fit, type = "HC0")))

# Cornwell and Rupert's wages: person, year and weights.
data(Wages)
wages <- Wages; wages$id <- rep(1:595, each = 7); wages$year <- rep(1:7, 595)
wages$cell <- (wages$id * 5 + wages$year) %% 23
wages$weight <- 0.5 + ((wages$id * 7 + wages$year) %% 11) / 10
wages$sector <- as.integer(wages$ind)
wages <- wages[!(wages$id %% 9 == 0 & wages$year > 1) & (wages$id %% 5 != 1 | wages$year > 3), ]
wages <- wages[, c("id", "year", "cell", "weight", "lwage", "exp", "wks", "union", "married", "south", "smsa", "sector")]
for (v in c("union", "married", "south", "smsa")) wages[[v]] <- as.integer(wages[[v]] == "yes")
write.csv(wages, file.path(here, "wages.csv"), row.names = FALSE)
terms <- c("wks", "union", "married", "south", "smsa")
# A person with one row is dropped before the fit, as the estimator says it does.
alone <- names(which(table(wages$id) == 1)); kept <- wages[!(wages$id %in% alone), ]
effects <- c(one = "factor(id)", two = "factor(id) + factor(year)", three = "factor(id) + factor(year) + factor(cell)")
for (name in names(effects)) for (weighted in c(FALSE, TRUE)) {
  kept$w <- if (weighted) kept$weight else 1
  fit <- lm(as.formula(paste("lwage ~ wks + union + married + south + smsa +", effects[[name]])), data = kept, weights = w)
  pick <- function(v) se(v[terms, terms])
  out[[paste0("wages_", name, if (weighted) "_weighted" else "")]] <- list(
    coef = unname(coef(fit)[terms]), naive = pick(vcov(fit)), df_residual = fit$df.residual,
    id = pick(vcovCL(fit, ~ id)), cell = pick(vcovCL(fit, ~ cell)), none = pick(vcovCL(fit, ~ id, cadjust = FALSE, type = "HC0")))
}
out$wages_alone <- length(alone)

write_json(out, file.path(here, "binary_and_linear.json"), digits = NA, auto_unbox = TRUE, pretty = TRUE)
